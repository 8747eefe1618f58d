import { VerificationError } from '../../core/errors.ts';
import { readCodedParts } from '../../core/methods/lossless/coded-parts.ts';
import { sourceNameOf } from '../../core/methods/lossless/split-plane-names.ts';
import type { FinishedWork, SourceFile, WorkContext } from '../../core/methods/lossless/work.ts';
import { mapBounded } from '../../core/model/bounded-map.ts';
import { openModel, type OpenedModel, type SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { ProgressTracker } from '../engine/progress-tracker.ts';
import { checkNothingLost, headerRanges, originalOf, originalTensors } from './compare-parts.ts';

const STATS_AT_ONCE = 16;

/** Bytes that a verification works through: every tensor decoded, every file hashed that has no digest yet. */
export function verificationBytes(model: OpenedModel, hashedFiles: readonly { sizeBytes: number }[]): number {
  const decoded = model.weightFiles.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return decoded + hashedFiles.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The files that a verification hashes. */
export async function hashedFiles(
  { outputFiles }: FinishedWork,
  { model, folder, access }: WorkContext,
): Promise<{ sizeBytes: number }[]> {
  const paths = [
    ...outputFiles.map((path) => `${folder}/${path}`),
    ...model.weightFiles.map(({ path }) => `${model.root}/${path}`),
  ];
  return mapBounded(paths, STATS_AT_ONCE, async (path) => ({ sizeBytes: (await access.stat(path))?.sizeBytes ?? 0 }));
}

/**
 * Reads a finished output as a stranger would: opens it by its files, decodes every tensor and compares it bit by bit with
 * the source, and hashes every file.
 *
 * @returns the digests of the output's files, sorted by path, and of every source file
 * @throws VerificationError VERIFY_FAILED; whatever reading a damaged output throws
 */
export async function verifyNewOutput(
  finished: FinishedWork,
  context: WorkContext,
  tracker: ProgressTracker,
): Promise<{ outputFiles: SourceFile[]; sourceFiles: SourceFile[] }> {
  const { model, folder, access, kernels, call } = context;
  const written = await openModel(folder, access, { unfinished: true });
  const parts = await readCodedParts(written, access, shapesOf(model));
  const originals = originalTensors(model);
  checkNothingLost(parts, originals);
  for (const part of parts) {
    await part.decode(originalOf(part, originals), context);
    tracker.settle(part.sizeBytes);
  }
  for (const { stored, original } of headerRanges(written, sourceNameOf, model)) {
    await kernels.compareRanges(stored, original, call());
  }
  const paths = [...finished.outputFiles].sort();
  const weights = model.weightFiles.map(({ path }) => path);
  // Two files are hashed in little more time than one, so those of source and output go together.
  const digests = await kernels.digestFiles(
    [...weights.map((path) => `${model.root}/${path}`), ...paths.map((path) => `${folder}/${path}`)],
    call(),
  );
  tracker.settle(digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const named = [...weights, ...paths].map((path, index): SourceFile => {
    const { sizeBytes = 0, sha256 = '' } = digests[index] ?? {};
    return { path, bytes: sizeBytes, sha256 };
  });
  const outputFiles = named.slice(weights.length);
  checkCopies(finished, outputFiles);
  const sources = named.slice(0, weights.length);
  checkSources(finished, sources);
  const isWeight = new Set(weights);
  const others = finished.sourceFiles.filter(({ path }) => !isWeight.has(path));
  return { outputFiles, sourceFiles: [...others, ...(await addChecksums(sources, context))] };
}

/** What the work has hashed on its way, perhaps in several runs, is what the file has. */
function checkSources({ sourceFiles }: FinishedWork, found: readonly SourceFile[]): void {
  const hashed = new Map(sourceFiles.map(({ path, sha256 }) => [path, sha256]));
  for (const { path, sha256 } of found) {
    const expected = hashed.get(path) ?? sha256;
    if (expected === sha256) continue;
    throw new VerificationError({
      code: 'VERIFY_FAILED',
      what: `${quoted(path)} was coded with SHA-256 ${expected}, but has ${sha256}.`,
      where: { file: path },
      whatToDo: 'Let nothing change the model, check disk and memory, and run it again.',
    });
  }
}

/** Weight files get the checksum by which a restored one will be known. */
async function addChecksums(
  weightFiles: readonly SourceFile[],
  { model, kernels, call }: WorkContext,
): Promise<SourceFile[]> {
  const withChecksums: SourceFile[] = [];
  for (const file of weightFiles) {
    const { xxh3 } = await kernels.checksumFile(`${model.root}/${file.path}`, call());
    withChecksums.push({ ...file, xxh3 });
  }
  return withChecksums;
}

/** Shapes of all tensors: DFloat11 files do not hold those of units. */
export function shapesOf(model: SafetensorsModel): Map<string, number[]> {
  return new Map(model.tensors.map(({ name, shape }) => [name, shape]));
}

/** Files that were copied are read back as they were read from the source. */
function checkCopies({ sourceFiles, original }: FinishedWork, digests: readonly SourceFile[]): void {
  const written = new Map(digests.map((file) => [file.path, file]));
  for (const { path, sha256 } of sourceFiles) {
    const copy = written.get(original.renamed.get(path) ?? path);
    const isCopy = !original.headers.has(path) && !original.files.has(path) && copy !== undefined;
    if (!isCopy || copy.sha256 === sha256) continue;
    throw new VerificationError({
      code: 'VERIFY_FAILED',
      what: `The copy of ${quoted(path)} has SHA-256 ${copy.sha256}, expected ${sha256}.`,
      where: { file: path },
      whatToDo: 'Check disk and memory, and run it again.',
    });
  }
}
