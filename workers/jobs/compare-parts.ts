import { VerificationError } from '../../core/errors.ts';
import type { ByteRange, DecodeTarget } from '../../core/kernels/kernels.ts';
import type { CodedPart } from '../../core/methods/lossless/coded-parts.ts';
import type { OpenedModel, SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';

/** Where each tensor of a plain model lies, by name. */
export function tensorRanges(model: SafetensorsModel): Map<string, ByteRange> {
  return new Map(
    model.tensors.map(({ name, file, offsetBytes, sizeBytes }) => {
      return [name, { path: `${model.root}/${file}`, offsetBytes, sizeBytes }];
    }),
  );
}

/**
 * What a part's decoded bytes have to be compared with.
 *
 * @throws VerificationError VERIFY_FAILED if the original lacks one of its tensors, or has it in another size
 */
export function originalOf(part: CodedPart, originals: ReadonlyMap<string, ByteRange>): DecodeTarget {
  const ranges = part.tensors.map(({ name, sizeBytes }) => {
    const range = originals.get(name);
    if (range?.sizeBytes === sizeBytes) return range;
    const found = range ? `has ${range.sizeBytes} bytes for it` : 'does not have it';
    throw new VerificationError({
      code: 'VERIFY_FAILED',
      what: `Tensor ${quoted(name)} decodes to ${sizeBytes} bytes, but the original ${found}.`,
      where: { tensor: name, file: part.file },
      whatToDo: 'Check that this is the model that was compressed.',
    });
  });
  return { kind: 'compare', ranges };
}

/**
 * Checks that a compressed model has every tensor of the original.
 *
 * @throws VerificationError VERIFY_FAILED
 */
export function checkNothingLost(parts: readonly CodedPart[], originals: ReadonlyMap<string, ByteRange>): void {
  const names = new Set(parts.flatMap(({ tensors }) => tensors.map(({ name }) => name)));
  const lost = [...originals.keys()].find((name) => !names.has(name));
  if (lost === undefined) return;
  throw new VerificationError({
    code: 'VERIFY_FAILED',
    what: `Tensor ${quoted(lost)} of the original is not stored.`,
    where: { tensor: lost },
    whatToDo: 'Check that this is the model that was compressed.',
  });
}

/**
 * Ranges of a split-plane folder that must equal the first bytes of the original's files. An original in other shards has
 * other headers: there is nothing to compare.
 */
export function headerRanges(
  model: OpenedModel,
  sourceName: (stored: string) => string,
  original: SafetensorsModel,
): { stored: ByteRange; original: ByteRange }[] {
  if (model.kind !== 'split-plane') return [];
  const originals = new Set(original.weightFiles.map(({ path }) => path));
  return model.weightFiles.flatMap(({ path, header: { dataStart, source } }) => {
    const { offset, bytes } = source.header;
    if (!originals.has(sourceName(path))) return [];
    return {
      stored: { path: `${model.root}/${path}`, offsetBytes: dataStart + offset, sizeBytes: bytes },
      original: { path: `${original.root}/${sourceName(path)}`, offsetBytes: 0, sizeBytes: bytes },
    };
  });
}
