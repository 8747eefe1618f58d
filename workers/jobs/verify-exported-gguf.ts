import { rm } from 'node:fs/promises';
import { VerificationError } from '../../core/errors.ts';
import type { ByteRange, FloatDtype, Kernels } from '../../core/kernels/kernels.ts';
import type { QuantizeFigures } from '../../core/kernels/quantize-kernels.ts';
import { storedTensor } from '../../core/methods/gguf/gguf-parts.ts';
import type { GgufExportPlan } from '../../core/methods/gguf/plan-gguf-export.ts';
import { requireGgufConfig, type GgufModel } from '../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import { openModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { createTokenizer, type Tokenizer } from '../../core/tokenizer/tokenizer.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import type { ProgressTracker } from '../engine/progress-tracker.ts';
import type { QuantizableModel } from './open-source.ts';

export interface ExportedParts {
  path: string;
  plan: GgufExportPlan;
  /** What each tensor's quantization said of its error. */
  figures: readonly QuantizeFigures[];
  model: QuantizableModel;
  /** Null where the file has none. */
  tokenizer: Tokenizer | null;
  kernels: Kernels;
  tracker: ProgressTracker;
}

/** What a tensor was made of, as numbers that can be compared with. */
interface Reference {
  dtype: FloatDtype;
  range: ByteRange;
  /** Whether it is a file of its own, to be removed. */
  isTemporary: boolean;
}

/** Sums of the same terms in another order. */
const SUM_TOLERANCE = 1e-9;

/** Words, numbers, code, other scripts, marks that combine, emoji, runs of spaces, line ends of every kind. */
const PROBE =
  "The quick brown fox isn't 1234567.89 — naïve café; e\u0301 vs é.\n\n\tfor (let i = 0; i < 10; i++) { x += i; }\r\n" +
  "Привет, мир! 你好世界 こんにちは 안녕하세요 مرحبا שלום नमस्ते 👩‍👩‍👧 🇩🇪 I'LL DON'T we've\u00a0x  y   z    \n \n  \u200bend<|endoftext|> ";

/**
 * Opens a new GGUF file as a stranger would: its tensors must be those of the plan, each as far from the original as its
 * quantization said, and its tokenizer must give the same ids.
 *
 * @throws VerificationError VERIFY_FAILED
 */
export async function verifyExportedGguf(parts: ExportedParts): Promise<void> {
  const opened = await openModel(parts.path, nodeFileAccess, { unfinished: true });
  if (opened.kind !== 'gguf') throw failed('is not taken for a GGUF file', null);
  requireGgufConfig(opened);
  await verifyTensors(opened, parts);
  if (parts.tokenizer !== null) await verifyTokenizer(opened, parts.tokenizer);
}

async function verifyTensors(opened: GgufModel, parts: ExportedParts): Promise<void> {
  const { plan, figures, model, kernels, tracker } = parts;
  const written = new Map(opened.tensors.map((tensor) => [tensor.name, tensor]));
  if (written.size !== plan.tensors.length + plan.tables.length) {
    throw failed(`has ${written.size} tensors, expected ${plan.tensors.length + plan.tables.length}`, null);
  }
  for (const [index, { name, canonicalName, shape, sizeBytes, isCopy, source }] of plan.tensors.entries()) {
    const tensor = written.get(name);
    const told = figures[index];
    if (tensor === undefined || told === undefined) throw failed('lost it', name);
    const { place } = tensor;
    const found = place?.canonicalName ?? tensor.name;
    const foundShape = model.kind === 'gguf' ? tensor.shape : (place?.shape ?? []);
    if (found !== canonicalName || foundShape.join() !== shape.join()) {
      throw failed(`is read as ${quoted(found)} [${foundShape.join(', ')}]`, name);
    }
    if (isCopy) {
      await compareCopies(source.ranges, { path: parts.path, offsetBytes: plan.file.offsets[index] ?? 0 }, parts);
      tracker.settle(sizeBytes);
      continue;
    }
    const reference = await referenceOf(canonicalName, parts);
    const stored = storedTensor(tensor, opened);
    const measured = await kernels.compareGgml(stored, reference.dtype, reference.range, tracker.call());
    if (reference.isTemporary) await rm(reference.range.path, { force: true });
    const difference = Math.abs(measured.squaredError - told.squaredError);
    if (!(difference <= SUM_TOLERANCE * told.squaredError) || measured.maxAbsError !== told.maxAbsError) {
      throw failed(
        `is off by ${measured.squaredError} in squares and ${measured.maxAbsError} at most, where its quantization said ${told.squaredError} and ${told.maxAbsError}`,
        name,
      );
    }
    tracker.settle(sizeBytes);
  }
}

/** Blocks that were taken over are the source's, byte for byte. */
async function compareCopies(
  ranges: readonly ByteRange[],
  { path, offsetBytes }: { path: string; offsetBytes: number },
  { kernels, tracker }: ExportedParts,
): Promise<void> {
  let at = offsetBytes;
  for (const range of ranges) {
    await kernels.compareRanges(range, { path, offsetBytes: at, sizeBytes: range.sizeBytes }, tracker.call());
    at += range.sizeBytes;
  }
}

/** A plain tensor as it lies there; of a GGUF file what it decodes to, in a file beside the new one. */
async function referenceOf(
  canonicalName: string,
  { path, model, kernels, tracker }: ExportedParts,
): Promise<Reference> {
  if (model.kind !== 'gguf') {
    const original = model.tensors.find(({ name }) => name === canonicalName);
    if (original === undefined) throw failed('was made of nothing', canonicalName);
    const { file, offsetBytes, sizeBytes, dtype } = original;
    const range = { path: `${model.root}/${file}`, offsetBytes, sizeBytes };
    return { dtype: dtype as FloatDtype, range, isTemporary: false };
  }
  const original = model.tensors.find(({ name, place }) => (place?.canonicalName ?? name) === canonicalName);
  if (original === undefined) throw failed('was made of nothing', canonicalName);
  const range = { path: `${path}.decoded`, offsetBytes: 0, sizeBytes: 4 * original.elements };
  const target = { kind: 'write' as const, ranges: [range] };
  await kernels.convertGgml(storedTensor(original, model), 'F32', target, tracker.call());
  return { dtype: 'F32', range, isTemporary: true };
}

async function verifyTokenizer(opened: GgufModel, wanted: Tokenizer): Promise<void> {
  const files = await readGgufTokenizer(opened, nodeFileAccess);
  const found = createTokenizer({ ...files, file: opened.weightFiles[0].path });
  const [ids, wantedIds] = [found.encode(PROBE), wanted.encode(PROBE)];
  if (ids.join() !== wantedIds.join()) {
    const at = wantedIds.findIndex((id, index) => id !== ids[index]);
    throw failed(`has a tokenizer that gives other ids, from the ${Math.max(0, at) + 1}th of a probing text on`, null);
  }
}

function failed(found: string, tensor: string | null): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: tensor === null ? `The new GGUF file ${found}.` : `Tensor ${quoted(tensor)} of the new GGUF file ${found}.`,
    where: tensor === null ? {} : { tensor },
    whatToDo: 'Check the disk and run it again; if it fails again, please report it.',
  });
}
