import type { BatchedJob, BatchResult } from '../../core/contract/batch-result.ts';
import type { PlannedJob } from '../../core/contract/batch-plan.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import { JobError, serializeError, type SerializedError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { JobQueue, type JobControl } from '../../core/scheduling/job-queue.ts';
import type { BatchOptions, CompressOptions, JobOptions } from '../engine/job-options.ts';
import { poolOf } from '../engine/job-scheduling.ts';
import { startUsage } from '../engine/process-usage.ts';
import { BatchProgress } from './batch-progress.ts';
import { readCompressResult } from './compress-documents.ts';
import { isFinishedOutput } from './finished-output.ts';
import { openQuantizable } from './open-source.ts';
import { readRecipeInputs } from './recipe-inputs.ts';

/** Tries of a job whose failure may go by itself. */
const MAX_ATTEMPTS = 3;
/** Between two tries: a full disk or a busy output takes a while. */
const RETRY_DELAY_MS = 2000;

/** What a batch asks of the engine for each of its jobs. */
export type RunCompress = (options: CompressOptions) => Promise<CompressResult>;

/**
 * Runs a batch: so many jobs at once, within one pool of threads and memory, none stopped by the failure of another.
 *
 * A batch that is run again does only what is missing: an output of the same model, recipe and version that is sound is
 * kept, an interrupted run goes on.
 * @throws JobError JOB_INTERRUPTED when the signal fires; a job's failure stands in the result
 */
export async function batchJob(
  options: BatchOptions,
  kernels: Kernels,
  compress: RunCompress,
  retryDelayMs = RETRY_DELAY_MS,
): Promise<BatchResult> {
  const { name, jobs, concurrency, signal, onEvent } = options;
  const usage = startUsage();
  const pool = poolOf(options);
  const outer = options.scheduling?.control;
  const queue = new JobQueue(concurrency, () => pool.reconsider());
  const progress = new BatchProgress(jobs.length, onEvent);
  const stopAll = () => {
    for (const { id } of queue.list()) queue.cancel(id);
  };
  signal.addEventListener('abort', stopAll, { once: true });

  const runs = jobs.map(async (job, index): Promise<BatchedJob> => {
    // Its own: what it waited for its turn does not count.
    let clock = startUsage();
    const outcome: Outcome = { status: 'cancelled', runId: null, attempts: 0, storedBytes: null, bitsPerWeight: null };
    const start = async (control: JobControl) => {
      clock = startUsage();
      progress.start(job.name);
      const own: JobOptions = {
        threads: pool.limits.threads,
        memoryLimitBytes: options.memoryLimitBytes,
        signal: control.signal,
        onEvent: (event) => progress.tell(index, job.name, event),
        scheduling: { pool, control: outer === undefined ? control : within(outer, control) },
      };
      try {
        await runOne(job, own, { force: options.force, retryDelayMs, kernels, compress }, outcome);
      } catch (error) {
        if (!signal.aborted || !isStop(error)) Object.assign(outcome, { status: 'failed', error: publicError(error) });
      }
      progress.end(index, job.name, outcome.status, outcome.error?.what);
    };
    await queue.add({ id: `${index}`, label: job.name, priority: 0, start }).catch((error: unknown) => {
      // Cancelled before its turn came.
      if (!isStop(error)) throw error;
    });
    const { seconds } = await clock();
    const { model, recipeFile, output } = job;
    return { name: job.name, model, recipe: recipeFile, output, ...outcome, seconds };
  });
  if (signal.aborted) stopAll();
  const results = await Promise.all(runs);
  signal.removeEventListener('abort', stopAll);
  if (signal.aborted) throw interrupted(results);
  return { schema: 1, name, jobs: results, ...(await usage()) };
}

type Outcome = Pick<BatchedJob, 'status' | 'runId' | 'attempts' | 'storedBytes' | 'bitsPerWeight' | 'error'>;

interface JobTools {
  force: boolean;
  retryDelayMs: number;
  kernels: Kernels;
  compress: RunCompress;
}

/** @param outcome what came of it; changed as it comes */
async function runOne(
  { model, recipe, recipeFolder, output }: PlannedJob,
  job: JobOptions,
  { force, retryDelayMs, kernels, compress }: JobTools,
  outcome: Outcome,
): Promise<void> {
  const source = await openQuantizable(model);
  const inputs = await readRecipeInputs(recipe, recipeFolder);
  const { threads, signal } = job;
  if (await isFinishedOutput(output, source, recipe, inputs, kernels, () => ({ threads, signal }))) {
    const { storedBytes, bitsPerWeight, error } = await readCompressResult(output);
    Object.assign(outcome, {
      storedBytes,
      bitsPerWeight,
      ...(error === undefined ? { status: 'kept' } : failed(error)),
    });
    return;
  }
  let resume = true;
  for (;;) {
    outcome.attempts++;
    try {
      const done = await compress({ ...job, model, recipe, recipeFolder, output, resume, force });
      const { runId, storedBytes, bitsPerWeight, error } = done;
      const status = error === undefined ? { status: 'done' } : failed(error);
      Object.assign(outcome, { runId, storedBytes, bitsPerWeight, ...status });
      return;
    } catch (error) {
      // The output of a finished run that was damaged since.
      if (resume && force && error instanceof WorkbenchError && error.code === 'VERIFY_FAILED') {
        resume = false;
        continue;
      }
      const mayPass = error instanceof WorkbenchError && error.retryable && !isStop(error);
      if (!mayPass || outcome.attempts === MAX_ATTEMPTS) throw error;
      job.onEvent({ event: 'warning', message: `${error.what} It is tried again.` });
      await sleep(retryDelayMs, signal);
    }
  }
}

/** A job of a batch that itself is a job of a queue: behind both ranks, paused by both. */
function within(outer: JobControl, inner: JobControl): JobControl {
  return {
    signal: inner.signal,
    rank: () => [...outer.rank(), ...inner.rank()],
    isPaused: () => outer.isPaused() || inner.isPaused(),
    async whenGoing() {
      await outer.whenGoing();
      await inner.whenGoing();
    },
  };
}

function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener('abort', end, { once: true });
  });
}

function isStop(error: unknown): boolean {
  return error instanceof WorkbenchError && /^JOB_(CANCELLED|INTERRUPTED)$/.test(error.code);
}

/** An output that is whole, but worse than its recipe allows. */
function failed({ stack: _, ...parts }: SerializedError): Pick<Outcome, 'status' | 'error'> {
  return { status: 'failed', error: parts };
}

function publicError(error: unknown): BatchedJob['error'] {
  const { stack: _, ...parts } = serializeError(error);
  return parts;
}

function interrupted(jobs: readonly BatchedJob[]): JobError {
  const whole = jobs.filter(({ status }) => status === 'done' || status === 'kept').length;
  return new JobError({
    code: 'JOB_INTERRUPTED',
    what: `The batch was interrupted with ${whole} of its ${jobs.length} jobs done; what the others have done is kept.`,
    whatToDo: 'Run the same batch again: only what is missing is done.',
    retryable: true,
  });
}
