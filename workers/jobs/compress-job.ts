import { writeLatheFile, LATHE_FILE_NAME } from '../../core/contract/lathe-file.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import { JobError, serializeError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { LosslessWork, WorkContext } from '../../core/methods/lossless/work.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import { takeFingerprints } from '../engine/fingerprints.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { sha256Hex } from '../engine/lathe-json.ts';
import { fitThreads } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { newFolderOf, openOutputFolder, refuseExistingOutput, type OutputFolder } from '../engine/output-folder.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { programVersion } from '../engine/run-identity.ts';
import { removeStrangers } from '../engine/strangers.ts';
import { beginRun, type BegunRun } from './begin-run.ts';
import { describeOutput, readCompressResult } from './compress-documents.ts';
import { openSource } from './open-source.ts';
import { outputPath } from './output-path.ts';
import { planLosslessWork } from './plan-lossless-work.ts';
import { verifyNewOutput, verificationBytes } from './verify-new-output.ts';

/** A run that ended with one of these would end so again: its partial output is of no use. */
const HOPELESS = /^(VERIFY|FORMAT|MODEL|RECIPE|USAGE)_/;

/**
 * Compresses a model into a folder: plans, codes item by item with a journal, verifies everything by decoding it, writes
 * `lathe.json`, and puts the output in its place.
 *
 * @throws WorkbenchError of any kind; JOB_INTERRUPTED if it was stopped and can be resumed. At every instant there is the
 * old output, the new one, or a partial folder that a resumed run finishes
 */
export async function compressJob(options: CompressOptions, kernels: Kernels, home: string): Promise<CompressResult> {
  const usage = startUsage();
  const { recipe, resume, force, signal, onEvent } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const model = await openSource(options.model);
  const output = await outputPath(options.output, model);
  if (!resume) await refuseExistingOutput(output, force);
  const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
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
    begun = await beginRun(place, output, options, fingerprints, home);
    if (begun.isCommitted) await place.discard();
    else await runWork({ work, context, begun, place, tracker, options });
    const result = await readCompressResult(output);
    const used = await usage();
    await begun.journal.append({ type: 'done', at: new Date().toISOString(), seconds: used.seconds });
    return { ...result, runId: begun.runId, ...used, resumed: begun.isResumed, verified: true };
  } catch (error) {
    throw await endFailed(error, place, begun);
  } finally {
    await begun?.journal.close();
  }
}

interface RunParts {
  work: LosslessWork;
  context: WorkContext;
  begun: BegunRun;
  place: OutputFolder;
  tracker: ProgressTracker;
  options: CompressOptions;
}

async function runWork({ work, context, begun, place, tracker, options }: RunParts): Promise<void> {
  const { model, folder } = context;
  const itemBytes = work.items.reduce((sum, { workBytes }) => sum + workBytes, 0);
  tracker.expect(itemBytes + verificationBytes(model, model.weightFiles));
  await runItems({ work, begun, tracker, options });
  const finished = await work.finish(begun.records);
  await removeStrangers(folder, finished.outputFiles);
  tracker.stage('verify');
  const files = await verifyNewOutput(finished, context, tracker);
  const description = describeOutput(finished, files, model, options.recipe);
  await writeFileDurably(`${folder}/${LATHE_FILE_NAME}`, writeLatheFile(description, sha256Hex));
  // What was written must be readable before it may replace anything.
  await readCompressResult(folder);
  for (const message of [...model.notes, ...finished.notes]) options.onEvent({ event: 'note', message });
  stopIfAsked(options.signal);
  await begun.journal.append({ type: 'committing' });
  await place.commit();
}

async function runItems({ work, begun, tracker, options }: Omit<RunParts, 'context' | 'place'>): Promise<void> {
  for (const item of work.items) {
    stopIfAsked(options.signal);
    tracker.stage('compress', item.label);
    const known = begun.records.get(item.key);
    if (known && (await item.holds(known))) {
      tracker.skip(item.workBytes);
    } else {
      const record = await item.run(begun.records);
      await begun.journal.append({ type: 'item', key: item.key, record });
      begun.records.set(item.key, record);
    }
    tracker.settle(item.workBytes);
  }
}

function stopIfAsked(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new JobError({
    code: 'JOB_CANCELLED',
    what: 'The job was stopped.',
    whatToDo: 'Start it again when you like.',
  });
}

/** Notes how a run ended, leaves what can be resumed and removes what cannot; returns the error to throw. */
async function endFailed(error: unknown, place: OutputFolder, begun: BegunRun | null): Promise<unknown> {
  const code = error instanceof WorkbenchError ? error.code : 'BUG_UNEXPECTED';
  if (begun === null) {
    // Nothing of this run is there yet; what was there before stays.
    if (place.unfinished) place.leave();
    else await place.discard();
    return error;
  }
  const at = new Date().toISOString();
  const isStopped = code === 'JOB_CANCELLED';
  const line = isStopped
    ? ({ type: 'interrupted', at } as const)
    : ({ type: 'failed', at, error: serializeError(error) } as const);
  // A full disk may refuse even this line; the run can be resumed without it.
  await begun.journal.append(line).catch(() => undefined);
  if (HOPELESS.test(code)) await place.discard();
  else place.leave();
  if (!isStopped) return error;
  return new JobError({
    code: 'JOB_INTERRUPTED',
    what: 'The run was interrupted; what it has done so far is kept.',
    where: { job: begun.runId },
    whatToDo: 'Go on with it by the same command and --resume.',
    retryable: true,
    cause: error,
  });
}
