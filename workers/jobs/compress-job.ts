import { resolve } from 'node:path';
import type { EvaluateResult, EvaluationPlan } from '../../core/contract/evaluation-result.ts';
import { writeLatheFile, LATHE_FILE_NAME } from '../../core/contract/lathe-file.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import type { RunFigures } from '../../core/contract/run-figures.ts';
import { JobError, VerificationError, WorkbenchError } from '../../core/errors.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import type { ResourcePool } from '../../core/scheduling/resource-pool.ts';
import { runTasks } from '../../core/scheduling/run-tasks.ts';
import type { Task, TaskRecords } from '../../core/scheduling/task.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import { checkUnchanged, takeFingerprints, type Fingerprints } from '../engine/fingerprints.ts';
import type { CompressOptions, EvaluateOptions } from '../engine/job-options.ts';
import { readLatheFile, sha256Hex } from '../engine/lathe-json.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
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
import type { AllocationTools } from './allocate-formats.ts';
import { readCompressResult } from './compress-documents.ts';
import type { Compression, OutputContext, PreparedCompression } from './compression.ts';
import { evaluateOutput, recipeEvaluation } from './evaluate-output.ts';
import { openQuantizable, type QuantizableModel } from './open-source.ts';
import { outputPath } from './output-path.ts';
import { planCompression } from './plan-compression.ts';
import { allInputs, readRecipeInputs } from './recipe-inputs.ts';
import { requireOutputRoom } from './require-output-room.ts';

/** A run that ended with one of these would end so again: its partial output is of no use. */
const HOPELESS =
  /^((VERIFY|FORMAT|MODEL|RECIPE|USAGE|TEXT|IMATRIX|NUMERICS|TOKENIZER|ALLOCATION)_|RESOURCE_MEMORY_LIMIT)/;

/** What a compression needs of the engine beside its own work. */
export interface CompressTools extends AllocationTools {
  kernels: QuantizeKernels;
  home: string;
  evaluate: (options: EvaluateOptions) => Promise<EvaluateResult>;
  /** Refuses what an evaluation would refuse before it runs a token. */
  planEvaluation: (options: EvaluateOptions) => Promise<EvaluationPlan>;
}

/**
 * Compresses a model into a folder: plans, measures what the recipe asks for, codes item by item with a journal, verifies
 * everything by decoding it, writes `lathe.json`, and puts the output in its place. Then evaluates it, if the recipe says so.
 *
 * @returns with `error` where a limit of the recipe was missed
 * @throws WorkbenchError of any kind; JOB_INTERRUPTED if it was stopped and can be resumed. At every instant there is the
 * old output, the new one, or a partial folder that a resumed run finishes
 */
export async function compressJob(asked: CompressOptions, tools: CompressTools): Promise<CompressResult> {
  const usage = startUsage();
  const { kernels, home } = tools;
  const recorder = new RunRecorder(asked.onEvent);
  const recipeFolder = resolve(asked.recipeFolder ?? '.');
  const options = { ...asked, recipeFolder, onEvent: recorder.onEvent };
  const { recipe, resume, force, signal, onEvent } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const model = await openQuantizable(options.model);
  const output = await outputPath(options.output, model);
  if (!resume) {
    await refuseExistingOutput(output, force).catch(async (error: unknown) => {
      throw await orUnmeasured(error, output, options);
    });
  }
  const inputs = await readRecipeInputs(recipe, recipeFolder);
  const tracker = createProgressTracker(options.threads, signal, onEvent);
  const context = {
    kernels,
    files: nodeOutputFiles,
    access: nodeFileAccess,
    call: () => tracker.call(),
    folder: newFolderOf(output),
  };
  const compression = await planCompression(context, model, options, inputs, tools);
  // What an interrupted run has written already would be counted twice.
  if (!resume) await requireOutputRoom(output, model, compression, kernels);
  const pool = poolOf(options);
  const { threads } = pool.sizeOf(compression.demand, 'this job');
  if (threads < options.threads) {
    tracker.useThreads(threads);
    const message = `Using ${threads} of ${options.threads} threads to stay within the memory limit.`;
    onEvent({ event: 'note', message });
  }
  for (const message of inputs.notes) onEvent({ event: 'warning', message });
  // The new model will take what its source takes: what would end in hours is known now.
  const evaluation = recipeEvaluation({ model: options.model, reference: options.model }, inputs, options);
  if (evaluation !== null) await tools.planEvaluation({ ...evaluation, onEvent: () => undefined });
  const takePrints = async () =>
    takeFingerprints(model, recipe, programVersion(), allInputs(await readRecipeInputs(recipe, recipeFolder)));
  const fingerprints = await takePrints();
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
    if (begun.isCommitted) await finishCommitted(output, place, context);
    else await runWork({ compression, context, model, begun, place, tracker, options, fingerprints, takePrints, pool });
    await evaluateOutput({ output, inputs, options, begun, kernels, evaluate: tools.evaluate });
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

/** An output that lacks only its evaluation is refused with the way to get it. */
async function orUnmeasured(error: unknown, output: string, { recipe }: CompressOptions): Promise<unknown> {
  const lathe = recipe.evaluate === undefined ? null : await readLatheFile(output).catch(() => null);
  const isSame = lathe !== null && JSON.stringify(lathe.recipe) === JSON.stringify(recipe);
  if (!isSame || lathe.metrics !== undefined) return error;
  return new JobError({
    code: 'JOB_OUTPUT_EXISTS',
    what: `The output "${output}" exists, made by the same recipe, and was not measured to the end.`,
    where: { file: output },
    whatToDo: 'Go on measuring it with --resume, choose another output, or replace it with --force.',
    cause: error,
  });
}

function figuresOf(
  result: Omit<CompressResult, 'runId' | 'resumed' | 'verified' | keyof UsageSince>,
): Omit<RunFigures, keyof UsageSince> {
  const { parameters, storedBytes, fileBytes, sourceStoredBytes, bitsPerWeight, metrics } = result;
  const sizes = { parameters, storedBytes, fileBytes, sourceStoredBytes, bitsPerWeight };
  if (metrics === undefined) return sizes;
  const texts = metrics.map((of) => {
    const { text, tokens, windows, predictions, context, meanNegativeLogLikelihood, perplexity, standardError } = of;
    const measured = {
      text,
      tokens,
      windows,
      predictions,
      context,
      meanNegativeLogLikelihood,
      perplexity,
      standardError,
    };
    const { referencePerplexity, klDivergence, top1Agreement } = of;
    const divergence = {
      klDivergenceMean: klDivergence.mean,
      klDivergenceStandardError: klDivergence.standardError,
    };
    return { ...measured, referencePerplexity, ...divergence, top1Agreement };
  });
  const { error } = result;
  return { ...sizes, texts, ...(error === undefined ? {} : { missedLimit: error.what }) };
}

/** An output that a killed run had put in its place is hashed before it is called verified. */
async function finishCommitted(output: string, place: OutputFolder, { kernels, call }: OutputContext): Promise<void> {
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
  compression: Compression;
  context: OutputContext;
  model: QuantizableModel;
  begun: BegunRun;
  place: OutputFolder;
  tracker: ProgressTracker;
  options: CompressOptions;
  fingerprints: Fingerprints;
  takePrints: () => Promise<Fingerprints>;
  pool: ResourcePool;
}

async function runWork(parts: RunParts): Promise<void> {
  const { compression, context, model, begun, place, tracker, options, fingerprints, takePrints, pool } = parts;
  const { folder } = context;
  const prepared = await compression.prepare();
  await begun.folder.journal.append({ type: 'plan', items: prepared.items.length });
  const itemBytes = prepared.items.reduce((sum, { workBytes }) => sum + workBytes, 0);
  tracker.expect(itemBytes + (await prepared.verificationBytes(null)));
  const records = await runItems(parts, prepared);
  const finished = await prepared.finish(records);
  await removeStrangers(folder, finished.outputFiles);
  tracker.expect(itemBytes + (await prepared.verificationBytes(finished)));
  tracker.stage('verify');
  const verified = await withLease(options, pool, compression.demand, 'verifying the output', () =>
    prepared.verify(finished, tracker),
  );
  checkUnchanged(fingerprints, await takePrints());
  const text = writeLatheFile(prepared.describe(finished, verified), sha256Hex);
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
async function runItems(
  { compression, begun, tracker, options, pool }: RunParts,
  { items }: PreparedCompression,
): Promise<TaskRecords> {
  const tasks = items.map((item, index): Task => {
    const before = items[index - 1];
    return {
      key: item.key,
      stage: 'compress',
      label: item.label,
      needs: before === undefined ? [] : [before.key],
      demand: compression.demand,
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
