import { LATHE_FILE_NAME, type LatheFile } from '../../core/contract/lathe-file.ts';
import type { VerifiedTensor, VerifyResult } from '../../core/contract/results.ts';
import { serializeError, VerificationError, WorkbenchError, type ErrorCode } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { readCodedParts, type CodedPart } from '../../core/methods/lossless/coded-parts.ts';
import { sourceNameOf } from '../../core/methods/lossless/split-plane-names.ts';
import type { WorkTools } from '../../core/methods/lossless/work.ts';
import type { OpenedModel, SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { JobOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { checkNothingLost, headerRanges, originalOf, originalTensors, type OriginalTensors } from './compare-parts.ts';
import { openCompressed } from './open-compressed.ts';
import { openSource } from './open-source.ts';
import { verifyGguf } from './verify-gguf.ts';

/** Faults of the folder at hand: they are listed, and the rest is checked too. */
const FAULTS: readonly ErrorCode[] = [
  'VERIFY_FAILED',
  'FORMAT_CODED_DATA_MALFORMED',
  'FORMAT_CHECKSUM_MISMATCH',
  'FORMAT_FILE_CUT_SHORT',
];

type Files = VerifyResult['files'];

/**
 * Re-reads a compressed folder: hashes every file, decodes every tensor, and compares with the original where it is given.
 *
 * @returns with `ok` false and the first fault as `error` where something is wrong
 * @throws ModelError MODEL_NOT_COMPRESSED; FormatError where the folder cannot even be opened; ResourceError; JobError
 */
export async function verifyJob(
  options: JobOptions & { model: string; against: string | null },
  kernels: Kernels,
): Promise<VerifyResult> {
  const usage = startUsage();
  options.onEvent({ event: 'stage', stage: 'plan' });
  const { model, lathe } = await openCompressed(options.model);
  if (model.kind === 'gguf') return verifyGguf(model, lathe, options, kernels);
  const original = options.against === null ? null : await openSource(options.against);
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const parts = await readCodedParts(model, nodeFileAccess, shapes);
  const pool = poolOf(options);
  const demand = jobDemand(kernels, options.threads, model.tensors.length);
  const { threads } = pool.sizeOf(demand, 'this job');
  const tracker = createProgressTracker(threads, options.signal, options.onEvent);
  const tools: WorkTools = { kernels, files: nodeOutputFiles, access: nodeFileAccess, call: () => tracker.call() };
  const listed = listFiles(model, lathe);
  tracker.expect(sumOf(parts, (part) => part.sizeBytes) + sumOf(listed.files, ({ bytes }) => bytes));

  stopIfAsked(options.signal);
  const faults: WorkbenchError[] = [];
  const { files, tensors } = await withLease(options, pool, demand, 'this job', async () => {
    const hashed = await hashFiles(model, listed.files, tools, tracker, faults);
    const isIntact = new Map(hashed.map(({ name, ok }) => [name, ok]));
    const decoded = await decodeAll(parts, original && originalTensors(original), isIntact, tools, tracker, faults);
    if (original) await compareRest(model, parts, original, tools, faults);
    return { files: hashed, tensors: decoded };
  });
  tracker.finish();
  const [fault] = faults;
  return {
    schema: 1,
    ok: fault === undefined,
    format: model.kind,
    against: original?.root ?? null,
    tensors,
    files,
    notes: [...model.notes, ...listed.notes],
    ...(await usage()),
    ...(fault ? { error: serializeError(fault) } : {}),
  };
}

interface ListedFiles {
  files: readonly { path: string; bytes: number; sha256: string | null }[];
  notes: string[];
}

/** The files to hash, with the digests that `lathe.json` has of them. */
function listFiles(model: OpenedModel, lathe: LatheFile | null): ListedFiles {
  const found = new Map([...model.weightFiles, ...model.otherFiles].map(({ path, sizeBytes }) => [path, sizeBytes]));
  if (!lathe) {
    const weights = model.weightFiles.map(({ path, sizeBytes }) => ({ path, bytes: sizeBytes, sha256: null }));
    const note = `There is no "${LATHE_FILE_NAME}" here: nothing tells what the files' SHA-256 were.`;
    return { files: weights, notes: [note] };
  }
  const recorded = new Set([...lathe.output.files.map(({ path }) => path), LATHE_FILE_NAME]);
  const strangers = [...found.keys()].filter((path) => !recorded.has(path));
  const notes =
    strangers.length === 0 ? [] : [`Not written by Lathe, and not checked: ${strangers.map(quoted).join(', ')}.`];
  return { files: lathe.output.files, notes };
}

async function hashFiles(
  { root }: OpenedModel,
  listed: ListedFiles['files'],
  { kernels, call }: WorkTools,
  tracker: ProgressTracker,
  faults: WorkbenchError[],
): Promise<Files> {
  tracker.stage('hash');
  const present = new Set<string>();
  for (const { path } of listed) {
    if ((await nodeFileAccess.stat(`${root}/${path}`))?.kind === 'file') present.add(path);
  }
  const paths = [...present];
  const digests = await kernels.digestFiles(
    paths.map((path) => `${root}/${path}`),
    call(),
  );
  const found = new Map(paths.map((path, index) => [path, digests[index]]));
  tracker.settle(sumOf(listed, ({ bytes }) => bytes));
  return listed.map(({ path, sha256: expected }) => {
    const { sizeBytes = 0, sha256 = '' } = found.get(path) ?? {};
    const ok = !present.has(path) ? false : expected === null ? null : sha256 === expected;
    if (ok === false) {
      const fault = present.has(path) ? `has SHA-256 ${sha256}, expected ${String(expected)}` : 'is missing';
      faults.push(fileFault(path, fault));
    }
    return { name: path, bytes: sizeBytes, sha256, ok };
  });
}

async function decodeAll(
  parts: readonly CodedPart[],
  originals: OriginalTensors | null,
  isIntact: ReadonlyMap<string, boolean | null>,
  tools: WorkTools,
  tracker: ProgressTracker,
  faults: WorkbenchError[],
): Promise<VerifiedTensor[]> {
  const tensors: VerifiedTensor[] = [];
  tracker.stage('decode');
  for (const part of parts) {
    const fault = await faultOf(async () => {
      const target = originals ? originalOf(part, originals) : { kind: 'discard' as const, sizeBytes: part.sizeBytes };
      await part.decode(target, tools);
    });
    if (fault) faults.push(fault);
    // A split-plane tensor was decoded to its recorded SHA-256; other parts are as good as their files.
    const isFileIntact = isIntact.get(part.file) ?? null;
    const isKnown = originals !== null || isFileIntact === true || part.method === 'split-plane';
    // What decodes from a damaged file may be anything, unless it was compared.
    const isDoubtful = !isKnown && isFileIntact === false;
    for (const { name } of part.tensors) {
      if (fault) tensors.push({ name, ok: false, bitExact: false, problem: fault.what });
      else if (isDoubtful)
        tensors.push({ name, ok: false, bitExact: null, problem: `${quoted(part.file)} is damaged.` });
      else tensors.push({ name, ok: true, bitExact: isKnown ? true : null });
    }
    tracker.settle(part.sizeBytes);
  }
  return tensors;
}

/** Nothing of the original is lost, and the headers that a split-plane folder keeps are the original's. */
async function compareRest(
  model: OpenedModel,
  parts: readonly CodedPart[],
  original: SafetensorsModel,
  { kernels, call }: WorkTools,
  faults: WorkbenchError[],
): Promise<void> {
  const checks = headerRanges(model, sourceNameOf, original).map(
    (ranges) => () => kernels.compareRanges(ranges.stored, ranges.original, call()),
  );
  const lost = () => {
    checkNothingLost(parts, originalTensors(original));
    return Promise.resolve();
  };
  for (const check of [lost, ...checks]) {
    const fault = await faultOf(check);
    if (fault) faults.push(fault);
  }
}

async function faultOf(check: () => Promise<void>): Promise<WorkbenchError | null> {
  try {
    await check();
    return null;
  } catch (error) {
    if (error instanceof WorkbenchError && FAULTS.includes(error.code)) return error;
    throw error;
  }
}

function fileFault(path: string, found: string): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: `${quoted(path)} ${found}.`,
    where: { file: path },
    whatToDo: 'This folder is damaged: get it again.',
  });
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}
