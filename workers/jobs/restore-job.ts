import { LATHE_FILE_NAME, type LatheFile } from '../../core/contract/lathe-file.ts';
import type { RestoredFile, RestoreResult } from '../../core/contract/results.ts';
import { UsageError, VerificationError } from '../../core/errors.ts';
import type { ByteRange, Kernels } from '../../core/kernels/kernels.ts';
import { readCodedParts, type CodedPart } from '../../core/methods/lossless/coded-parts.ts';
import { placeTensors, type RestoredWeightFile } from '../../core/methods/lossless/restored-files.ts';
import type { WorkTools } from '../../core/methods/lossless/work.ts';
import { walkModelFolder } from '../../core/model/model-folder.ts';
import { quoted } from '../../core/quoted.ts';
import type { RestoreOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { newFolderOf, refuseExistingOutput, removeSpent } from '../engine/output-folder.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { RunRecorder } from '../engine/run-recorder.ts';
import { openCompressed } from './open-compressed.ts';
import { outputPath } from './output-path.ts';
import { planRestore, type RestorePlan } from './plan-restore.ts';
import { restoreGguf } from './restore-gguf.ts';
import { writeRestored } from './restore-place.ts';

/**
 * Undoes a lossless compression: byte for byte where `lathe.json` or the format tells what the files were, else every
 * tensor exactly, in new files. Of a GGUF file makes a safetensors model.
 *
 * @throws ModelError MODEL_NOT_COMPRESSED; UsageError for options that a lossless folder does not have; VerificationError
 * VERIFY_FAILED if a restored file is not the original; any WorkbenchError. Nothing but its journal stays behind
 * on failure
 */
export async function restoreJob(asked: RestoreOptions, kernels: Kernels, home: string): Promise<RestoreResult> {
  const usage = startUsage();
  const recorder = new RunRecorder(asked.onEvent);
  const options = { ...asked, onEvent: recorder.onEvent };
  const run = { kernels, home, recorder, usage };
  const { force, signal, onEvent } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const { model, lathe } = await openCompressed(options.model);
  checkShardSize(options);
  if (model.kind === 'gguf') return restoreGguf(model, lathe, options, run);
  checkDtype(options);
  const output = await outputPath(options.output, model);
  await removeSpent(output, 'restore', kernels);
  await refuseExistingOutput(output, force);
  const parts = await readCodedParts(model, nodeFileAccess, shapesIn(lathe));
  const plan = await planRestore(model, lathe, parts, options.maxShardBytes);
  // Before anything is written: sizes from a file that may be hostile must be those of what is stored.
  const places = placeTensors(plan.weightFiles, parts, newFolderOf(output));
  const pool = poolOf(options);
  const demand = jobDemand(kernels, options.threads, model.tensors.length);
  const { threads } = pool.sizeOf(demand, 'this job');
  const tracker = createProgressTracker(threads, signal, onEvent);
  const tools: WorkTools = { kernels, files: nodeOutputFiles, access: nodeFileAccess, call: () => tracker.call() };
  const { files, filesIdentical } = await writeRestored(output, model, options, run, async (folder) => {
    const write = () => writeFiles(plan, parts, places, folder, tools, tracker);
    const written = await withLease(options, pool, demand, 'this job', write);
    const isIdentical = plan.isWhole && written.every(({ isKnown }) => isKnown);
    return { files: written, lossless: true, filesIdentical: isIdentical };
  });
  tracker.finish();
  const notes = [...model.notes, ...plan.notes];
  for (const message of notes) onEvent({ event: 'note', message });
  return {
    schema: 1,
    output,
    files: files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
    lossless: true,
    filesIdentical,
    notes,
    ...(await usage()),
  };
}

function checkDtype({ dtype, model: path }: RestoreOptions): void {
  if (dtype === null) return;
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `${quoted(path)} is compressed without loss, and comes back in its own dtypes; --dtype is for lossy ones.`,
    whatToDo: 'Leave --dtype out.',
  });
}

function checkShardSize({ maxShardBytes }: RestoreOptions): void {
  if (maxShardBytes === null || maxShardBytes >= 1) return;
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `A shard of ${maxShardBytes} bytes can hold no tensor.`,
    whatToDo: 'Give --max-shard-size a size such as 5GB.',
  });
}

function shapesIn(lathe: LatheFile | null): Map<string, number[]> {
  return new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
}

type WrittenFile = RestoredFile & { isKnown: boolean };

async function writeFiles(
  plan: RestorePlan,
  parts: readonly CodedPart[],
  places: ReadonlyMap<string, ByteRange>,
  folder: string,
  tools: WorkTools,
  tracker: ProgressTracker,
): Promise<WrittenFile[]> {
  const { kernels, files, call } = tools;
  const decodedBytes = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const copiedBytes = plan.copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const weightBytes = plan.weightFiles.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  tracker.expect(decodedBytes + weightBytes + copiedBytes);
  tracker.stage('decode');
  for (const { path, sizeBytes, header } of plan.weightFiles) {
    const target = await files.prepare(folder, path);
    await files.setSize(target, sizeBytes);
    await files.writeAt(target, header, 0);
  }
  for (const part of parts) {
    const ranges = part.tensors.flatMap(({ name }) => places.get(name) ?? []);
    await part.decode({ kind: 'write', ranges }, tools);
    tracker.settle(part.sizeBytes);
  }
  const written: WrittenFile[] = [];
  tracker.stage('verify');
  for (const file of plan.weightFiles) {
    await kernels.syncFile(`${folder}/${file.path}`, call());
    written.push(await checkWeightFile(file, folder, tools));
    tracker.settle(file.sizeBytes);
  }
  tracker.stage('copy');
  for (const { from, to, sizeBytes, sha256 } of plan.copies) {
    const digest = await kernels.copyFile(from, await files.prepare(folder, to), call());
    written.push(checked(to, digest, sha256));
    tracker.settle(sizeBytes);
  }
  for (const { path, bytes, sha256 } of plan.texts) {
    const target = await files.prepare(folder, path);
    await files.writeFile(target, bytes);
    written.push(checked(path, await kernels.digestFile(target, call()), sha256));
  }
  for (const path of plan.emptyFolders) await files.makeFolder(`${folder}/${path}`);
  await checkNothingVanished(written, folder);
  return written.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Reads a restored weight file back. Where the original's XXH3-64 is known it is compared, and the original's SHA-256 is
 * reported without being computed again: at its speed it would take longer than decoding did. Else SHA-256 is.
 */
async function checkWeightFile(
  { path, sha256, xxh3: expected }: RestoredWeightFile,
  folder: string,
  { kernels, call }: WorkTools,
): Promise<WrittenFile> {
  if (expected === null || sha256 === null) {
    return checked(path, await kernels.digestFile(`${folder}/${path}`, call()), sha256);
  }
  const { sizeBytes, xxh3 } = await kernels.checksumFile(`${folder}/${path}`, call());
  if (xxh3 !== expected) throw differs(path, `XXH3-64 ${xxh3}`, expected);
  return { name: path, bytes: sizeBytes, sha256, isKnown: true };
}

/** File systems that take capitals for small letters have one place for two names. */
async function checkNothingVanished(written: readonly WrittenFile[], folder: string): Promise<void> {
  const { files } = await walkModelFolder(folder, nodeFileAccess);
  const found = new Map(files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const lost = written.find(({ name, bytes }) => found.get(name) !== bytes);
  if (!lost) return;
  throw new VerificationError({
    code: 'VERIFY_FAILED',
    what: `The restored ${quoted(lost.name)} is not there any more, or not whole.`,
    where: { file: lost.name },
    whatToDo: 'Restore to a file system that tells capitals from small letters, and let nothing change the output.',
  });
}

function checked(name: string, found: { sizeBytes: number; sha256: string }, expected: string | null): WrittenFile {
  if (expected !== null && found.sha256 !== expected) throw differs(name, `SHA-256 ${found.sha256}`, expected);
  return { name, bytes: found.sizeBytes, sha256: found.sha256, isKnown: expected !== null };
}

function differs(name: string, found: string, expected: string): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: `The restored ${quoted(name)} has ${found}, but the original had ${expected}.`,
    where: { file: name },
    whatToDo: `The compressed folder is damaged: see "lathe verify", and get it again (${LATHE_FILE_NAME} included).`,
  });
}
