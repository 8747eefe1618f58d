import { VerificationError } from '../../core/errors.ts';
import type { ByteRange, DecodeTarget } from '../../core/kernels/kernels.ts';
import type { CodedPart } from '../../core/methods/lossless/coded-parts.ts';
import type { OpenedModel, SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';

/** A tensor of the model that a compressed one is compared with. */
interface OriginalTensor {
  dtype: string;
  shape: readonly number[];
  range: ByteRange;
}

export type OriginalTensors = ReadonlyMap<string, OriginalTensor>;

/** The tensors of a plain model by name, and where each lies. */
export function originalTensors(model: SafetensorsModel): OriginalTensors {
  return new Map(
    model.tensors.map(({ name, dtype, shape, file, offsetBytes, sizeBytes }) => {
      return [name, { dtype, shape, range: { path: `${model.root}/${file}`, offsetBytes, sizeBytes } }];
    }),
  );
}

/**
 * What a part's decoded bytes have to be compared with.
 *
 * @throws VerificationError VERIFY_FAILED if the original lacks one of its tensors, or has it in another dtype or shape
 */
export function originalOf(part: CodedPart, originals: OriginalTensors): DecodeTarget {
  const ranges = part.tensors.map(({ name, dtype, shape, sizeBytes }) => {
    const original = originals.get(name);
    const decoded = `${dtype} [${shape.join(', ')}]`;
    const found = original ? `${original.dtype} [${original.shape.join(', ')}]` : 'no such tensor';
    if (original?.range.sizeBytes === sizeBytes && found === decoded) return original.range;
    throw new VerificationError({
      code: 'VERIFY_FAILED',
      what: `Tensor ${quoted(name)} decodes to ${decoded}, but the original has ${found}.`,
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
export function checkNothingLost(parts: readonly CodedPart[], originals: OriginalTensors): void {
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
