import { queuedCalls } from '../../core/contract/engine-calls.ts';
import type { EvaluateResult } from '../../core/contract/evaluation-result.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import type { RunDetails } from '../../core/contract/runs-result.ts';
import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { describeWholeRun } from '../engine/describe-run.ts';
import type { CompressOptions, EvaluateOptions, JobOptions } from '../engine/job-options.ts';
import { journalPath } from '../engine/journal.ts';
import { readRunLine } from '../engine/read-journal.ts';
import { removeScores } from '../engine/score-file.ts';
import { findRun } from './find-run.ts';

export interface ResumeOptions extends JobOptions {
  /** An ID, or as many of its first characters as tell it from others. */
  run: string;
}

/** What a run that was gone on with came to; of one that had come to its end, only what is known of it. */
export type ResumeOutcome =
  | { command: 'compress'; result: CompressResult }
  | { command: 'evaluate'; result: EvaluateResult }
  | { command: null; run: RunDetails };

/** How the runs of each command are gone on with. */
export interface ResumeCalls {
  kernels: () => Kernels;
  compress: (options: CompressOptions) => Promise<CompressResult>;
  evaluate: (options: EvaluateOptions) => Promise<EvaluateResult>;
}

/**
 * Goes on with an interrupted run by what its journal says was asked, whatever the current folder is.
 *
 * Without a memory limit of its own it keeps the one that the run had.
 * @throws JobError RUN_NOT_FOUND, RUN_NOT_RESUMABLE, RUN_JOURNAL_INVALID, RUN_JOURNAL_NEWER, JOB_OUTPUT_BUSY; UsageError
 * RUN_AMBIGUOUS, JOB_RESUME_MISMATCH, naming what has changed; what the run's command throws
 */
export async function resumeRun(
  { run: id, ...job }: ResumeOptions,
  { kernels, compress, evaluate }: ResumeCalls,
  home: string,
): Promise<ResumeOutcome> {
  const runId = await findRun(home, id);
  const run = await describeWholeRun(home, runId, kernels);
  if (run.state === 'done') {
    await removeScores(home, runId);
    return { command: null, run };
  }
  if (run.state === 'running') throw stillRunning(runId);
  const memoryLimitBytes = job.memoryLimitBytes ?? run.memoryLimitBytes;
  const again = { ...job, memoryLimitBytes, runId };
  const asked = { ...run.options, resume: true };
  if (run.options === null) throw notResumable(run, 'its journal does not tell what was asked');
  switch (run.command) {
    case 'compress': {
      const call = queuedCalls.compress.safeParse(asked);
      if (!call.success) throw notResumable(run, 'its journal tells options that this version does not know');
      const { queue: _, ...options } = call.data;
      return { command: 'compress', result: await compress({ ...again, ...options }) };
    }
    case 'evaluate': {
      const call = queuedCalls.evaluate.safeParse(asked);
      if (!call.success) throw notResumable(run, 'its journal tells options that this version does not know');
      const { queue: _, ...options } = call.data;
      const line = await readRunLine(journalPath(home, runId));
      const names = new Map(Object.entries(line?.names ?? {}));
      return { command: 'evaluate', result: await evaluate({ ...again, ...options, names }) };
    }
    default:
      throw notResumable(run, `"lathe ${run.command}" keeps nothing to go on with`);
  }
}

function notResumable({ runId, command }: RunDetails, why: string): JobError {
  return new JobError({
    code: 'RUN_NOT_RESUMABLE',
    what: `The run ${runId} cannot go on: ${why}.`,
    where: { job: runId },
    whatToDo: `Run "lathe ${command}" anew.`,
  });
}

function stillRunning(runId: string): JobError {
  return new JobError({
    code: 'JOB_OUTPUT_BUSY',
    what: `The run ${runId} is still going on in another process.`,
    where: { job: runId },
    whatToDo: 'Wait until it has ended, or stop it first.',
    retryable: true,
  });
}
