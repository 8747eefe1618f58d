import type { RunsListResult, RunsShowResult, RunState } from '../../core/contract/runs-result.ts';
import { serializeError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { describeRun, describeWholeRun } from '../engine/describe-run.ts';
import { listRunIds } from '../engine/run-folder.ts';
import { findRun } from './find-run.ts';

export interface ListRunsOptions {
  /** At most so many; null: all. */
  limit: number | null;
  /** Only runs in this state; null: in any. */
  state: RunState | null;
}

/**
 * Past runs and those that go on, newest first. One whose journal cannot be read is named beside them, and why.
 *
 * Cost: the first and last lines of each journal.
 */
export async function listRuns(
  { limit, state }: ListRunsOptions,
  kernels: () => Kernels,
  home: string,
): Promise<RunsListResult> {
  const result: RunsListResult = { schema: 1, runs: [], unreadable: [], more: 0 };
  for (const runId of await listRunIds(home)) {
    if (limit !== null && result.runs.length >= limit && state === null) {
      result.more++;
      continue;
    }
    try {
      const run = await describeRun(home, runId, kernels);
      if (state !== null && run.state !== state) continue;
      if (limit !== null && result.runs.length >= limit) result.more++;
      else result.runs.push(run);
    } catch (error) {
      const { code, what } = serializeError(error);
      result.unreadable.push({ runId, code, what });
    }
  }
  return result;
}

/**
 * All that is known of a run.
 *
 * @param id or as many of its first characters as tell it from others
 * @throws JobError RUN_NOT_FOUND, RUN_JOURNAL_INVALID, RUN_JOURNAL_NEWER; UsageError RUN_AMBIGUOUS; ResourceError
 */
export async function showRun(id: string, kernels: () => Kernels, home: string): Promise<RunsShowResult> {
  const runId = await findRun(home, id);
  return { schema: 1, run: await describeWholeRun(home, runId, kernels) };
}
