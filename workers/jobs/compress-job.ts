import { writeLatheFile, LATHE_FILE_NAME } from '../../core/contract/lathe-file.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import type { RunFigures } from '../../core/contract/run-figures.ts';
import { JobError, VerificationError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { LosslessWork, WorkContext } from '../../core/methods/lossless/work.ts';
import type { Demand, ResourcePool } from '../../core/scheduling/resource-pool.ts';
import { runTasks } from '../../core/scheduling/run-tasks.ts';
import type { Task, TaskRecords } from '../../core/scheduling/task.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import { checkUnchanged, takeFingerprints, type Fingerprints } from '../engine/fingerprints.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { readLatheFile, sha256Hex } from '../engine/lathe-json.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import {
  discardAfter,
  newFolderOf,
  openOutputFolder,
  refuseExistingOutput,
  type OutputFolder,
} from '../engine/output-folder.ts';
import { startUsage, type UsageSince } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { applyRetention } from '../engine/retention.ts';
import { programVersion } from '../engine/run-identity.ts';
import { RunRecorder } from '../engine/run-recorder.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { removeStrangers } from '../engine/strangers.ts';
import { beginRun, type BegunRun } from './begin-run.ts';
import { describeOutput, readCompressResult } from './compress-documents.ts';
import { openSource } from './open-source.ts';
import { outputPath } from './output-path.ts';
import { planLosslessWork } from './plan-lossless-work.ts';
import { hashedFiles, verifyNewOutput, verificationBytes } from './verify-new-output.ts';

/** A run that ended with one of these would end so again: its partial output is of no use. */
const HOPELESS = /^(VERIFY|FORMAT|MODEL|RECIPE|USAGE)_/;

/**
 * Compresses a model into a folder: plans, codes item by item with a journal, verifies everything by decoding it, writes
 * `lathe.json`, and puts the output in its place.
 *
 * @throws WorkbenchError of any kind; JOB_INTERRUPTED if it was stopped and can be resumed. At every instant there is the
 * old output, the new one, or a partial folder that a resumed run finishes
 */
export async function compressJob(asked: CompressOptions, kernels: Kernels, home: string): Promise<CompressResult> {
  const usage = startUsage();
  const recorder = new RunRecorder(asked.onEvent);
  const options = { ...asked, onEvent: recorder.onEvent };
  const { recipe, resume, force, signal, onEvent } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const model = await openSource(options.model);
  const output = await outputPath(options.output, model);
  if (!resume) await refuseExistingOutput(output, force);
  const pool = poolOf(options);
  const demand = jobDemand(kernels, options.threads, model.tensors.length);
  const { threads } = pool.sizeOf(demand, 'this job');
  if (threads < options.threads) {
    const message = `Using ${threads} of ${options.threads} threads to stay within the memory limit.`;
    onEvent({ event: 'note', message });
  }
  const tracker = createProgressTracker(threads, signal, onEvent);
  const context: WorkContext = {
    kernels,
    files: nodeOutputFiles,
    access: nodeFileAccess,
    call: () => tracker.call(),
    model,
    folder: newFolderOf(output),
  };
  const work = planLosslessWork(context, recipe);
  const fingerprints = await takeFingerprints(model, recipe, programVersion());
  const place = await openOutputFolder(output, kernels);
  let begun: BegunRun | null = null;
  try {
    stopIfAsked(signal);
    begun = await beginRun(place, output, options, fingerprints, kernels, home);
    recorder.begin(begun.folder);
    recorder.log('info', begun.isResumed ? 'The run goes on.' : 'The run begins.', {
      runId: begun.runId,
      threads,
      records: begun.records.size,
    });
    await applyRetention(home, begun.runId, kernels, recorder);
    await begun.folder.journal.append({ type: 'plan', items: work.items.length });
    if (begun.isCommitted) await finishCommitted(output, place, context);
    else await runWork({ work, context, begun, place, tracker, options, fingerprints, pool, demand });
    const result = await readCompressResult(output);
    const used = await usage();
    await recorder.done({ ...figuresOf(result), ...used });
    tracker.finish();
    return { ...result, runId: begun.runId, ...used, resumed: begun.isResumed, verified: true };
  } catch (error) {
    throw await endFailed(error, place, begun, options, recorder);
  } finally {
    await recorder.close(begun?.folder ?? null);
  }
}

function figuresOf(
  result: Omit<CompressResult, 'runId' | 'resumed' | 'verified' | keyof UsageSince>,
): Omit<RunFigures, keyof UsageSince> {
  const { parameters, storedBytes, fileBytes, sourceStoredBytes, bitsPerWeight } = result;
  return { parameters, storedBytes, fileBytes, sourceStoredBytes, bitsPerWeight };
}

/** An output that a killed run had put in its place is hashed before it is called verified. */
async function finishCommitted(output: string, place: OutputFolder, { kernels, call }: WorkContext): Promise<void> {
  const files = (await readLatheFile(output))?.output.files ?? [];
  const digests = await kernels.digestFiles(
    files.map(({ path }) => `${output}/${path}`),
    call(),
  );
  const changed = files.find(({ sha256 }, index) => digests[index]?.sha256 !== sha256);
  await place.discard();
  if (!changed) return;
  throw new VerificationError({
    code: 'VERIFY_FAILED',
    what: `"${changed.path}" of the finished output "${output}" was changed after it was written.`,
    where: { file: changed.path },
    whatToDo: 'Compress the model again with --force.',
  });
}

interface RunParts {
  work: LosslessWork;
  context: WorkContext;
  begun: BegunRun;
  place: OutputFolder;
  tracker: ProgressTracker;
  options: CompressOptions;
  fingerprints: Fingerprints;
  pool: ResourcePool;
  demand: Demand;
}

async function runWork(parts: RunParts): Promise<void> {
  const { work, context, begun, place, tracker, options, fingerprints, pool, demand } = parts;
  const { model, folder } = context;
  const itemBytes = work.items.reduce((sum, { workBytes }) => sum + workBytes, 0);
  // Until the output is there, its files are taken to be as large as the model's.
  tracker.expect(itemBytes + verificationBytes(model, [...model.weightFiles, ...model.otherFiles]));
  const records = await runItems(parts);
  const finished = await work.finish(records);
  await removeStrangers(folder, finished.outputFiles);
  tracker.expect(itemBytes + verificationBytes(model, await hashedFiles(finished, context)));
  tracker.stage('verify');
  const { outputFiles, sourceFiles } = await withLease(options, pool, demand, 'verifying the output', () =>
    verifyNewOutput(finished, context, tracker),
  );
  checkUnchanged(fingerprints, await takeFingerprints(model, options.recipe, programVersion()));
  const description = describeOutput({ ...finished, sourceFiles }, outputFiles, model, options.recipe);
  const text = writeLatheFile(description, sha256Hex);
  await writeFileDurably(`${folder}/${LATHE_FILE_NAME}`, text);
  // What was written must be readable before it may replace anything.
  await readCompressResult(folder);
  for (const message of [...model.notes, ...finished.notes]) options.onEvent({ event: 'note', message });
  stopIfAsked(options.signal);
  await begun.folder.journal.append({ type: 'committing', latheFileSha256: sha256Hex(text) });
  await begun.folder.journal.flush();
  await place.commit(options.force);
}

/** Items one after the other, each on all threads: kernels divide a tensor's work better than tensors divide a model's. */
async function runItems({ work, begun, tracker, options, pool, demand }: RunParts): Promise<TaskRecords> {
  const tasks = work.items.map((item, index): Task => {
    const before = work.items[index - 1];
    return {
      key: item.key,
      stage: 'compress',
      label: item.label,
      needs: before === undefined ? [] : [before.key],
      demand,
      work: item.workBytes,
      run: ({ records }) => item.run(records),
      holds: (record) => item.holds(record),
    };
  });
  return runTasks(tasks, {
    pool,
    rank: options.scheduling?.control.rank,
    isPaused: options.scheduling?.control.isPaused,
    signal: options.signal,
    known: begun.records,
    onStart: ({ stage, label }) => tracker.stage(stage, label),
    onSkip: ({ work: bytes }) => tracker.skip(bytes),
    onRecord: ({ key }, record) => begun.folder.journal.append({ type: 'item', key, record }),
    onEnd: ({ work: bytes }) => tracker.settle(bytes),
  });
}

/**
 * Notes how a run ended, leaves what can be resumed and removes what cannot; returns the error to throw.
 *
 * @param begun null if the run had not begun: then only what was there before can be resumed
 */
async function endFailed(
  error: unknown,
  place: OutputFolder,
  begun: BegunRun | null,
  { resume, onEvent }: CompressOptions,
  recorder: RunRecorder,
): Promise<unknown> {
  const code = error instanceof WorkbenchError ? error.code : 'BUG_UNEXPECTED';
  const isStopped = code === 'JOB_CANCELLED';
  if (begun) await recorder.failed(error);
  const isKept = begun ? !HOPELESS.test(code) : place.unfinished !== null;
  if (isKept) place.leave();
  else await discardAfter(place, onEvent);
  const runId = begun?.runId ?? (resume ? place.unfinished?.runId : undefined);
  if (!isStopped || runId === undefined) return error;
  return new JobError({
    code: 'JOB_INTERRUPTED',
    what: 'The run was interrupted; what it has done so far is kept.',
    where: { job: runId },
    whatToDo: 'Go on with it by the same command and --resume.',
    retryable: true,
    cause: error,
  });
}
