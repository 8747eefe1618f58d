import { stat } from 'node:fs/promises';
import type { RunsCleanResult, RunSummary } from '../../core/contract/runs-result.ts';
import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import { describeRun } from '../engine/describe-run.ts';
import { openOutputFolder } from '../engine/output-folder.ts';
import { folderBytes, isOld, KEPT_DAYS, KEPT_RUNS, removeRun } from '../engine/retention.ts';
import { isRunning, listRunIds, runFolderPath } from '../engine/run-folder.ts';
import { findRun } from './find-run.ts';

export interface CleanRunsOptions {
  /** These and no others, even if they could go on. */
  ids: readonly string[];
  /** Keeps so many of the newest; null: whatever their number, unless `olderThanDays` is null too. */
  keep: number | null;
  /** Removes those that began before; null: whatever their age, unless `keep` is null too. */
  olderThanDays: number | null;
  dryRun: boolean;
}

/**
 * Removes past runs: journals, logs and, of a named run that could go on, the work that it has left.
 *
 * Without names only runs that came to an end and cannot go on are removed; a running one never is, and one whose journal
 * cannot be read only by its name.
 * @throws JobError JOB_OUTPUT_BUSY for a named run that goes on, RUN_NOT_FOUND; UsageError RUN_AMBIGUOUS; ResourceError
 */
export async function cleanRuns(options: CleanRunsOptions, kernels: Kernels, home: string): Promise<RunsCleanResult> {
  const { ids, dryRun } = options;
  const runIds = await listRunIds(home);
  const chosen =
    ids.length === 0 ? await chooseRuns(options, runIds, kernels, home) : await nameRuns(ids, kernels, home);
  const removed: RunsCleanResult['removed'] = [];
  for (const [runId, run] of chosen) {
    const facts = { runId, command: run?.command ?? null, startedAt: run?.startedAt ?? null };
    const bytes = dryRun ? await folderBytes(runFolderPath(home, runId)) : await removeRun(home, runId, kernels);
    if (!dryRun && run?.command === 'compress' && run.output !== null) await discardWork(run.output, runId, kernels);
    removed.push({ ...facts, bytes });
  }
  const bytes = removed.reduce((sum, run) => sum + run.bytes, 0);
  return { schema: 1, dryRun, removed, bytes, kept: runIds.length - removed.length };
}

type Chosen = Map<string, RunSummary | null>;

async function chooseRuns(
  { keep, olderThanDays }: CleanRunsOptions,
  runIds: readonly string[],
  kernels: Kernels,
  home: string,
): Promise<Chosen> {
  const isDefault = keep === null && olderThanDays === null;
  const [most, days] = isDefault ? [KEPT_RUNS, KEPT_DAYS] : [keep, olderThanDays];
  const chosen: Chosen = new Map();
  let ended = 0;
  for (const runId of runIds) {
    const run = await describeRun(home, runId, () => kernels).catch(() => null);
    if (run === null || run.resumable || run.state === 'running') continue;
    ended++;
    if ((most !== null && ended > most) || (days !== null && isOld(runId, days))) chosen.set(runId, run);
  }
  return chosen;
}

async function nameRuns(ids: readonly string[], kernels: Kernels, home: string): Promise<Chosen> {
  const chosen: Chosen = new Map();
  for (const id of ids) {
    const runId = await findRun(home, id);
    if (await isRunning(home, runId, () => kernels)) {
      throw new JobError({
        code: 'JOB_OUTPUT_BUSY',
        what: `The run ${runId} is still going on.`,
        where: { job: runId },
        whatToDo: 'Stop it first, or leave it out.',
      });
    }
    // A damaged journal is what it may be removed for.
    chosen.set(runId, await describeRun(home, runId, () => kernels).catch(() => null));
  }
  return chosen;
}

/** What a run that could have gone on has left beside its output, if it is this run's. */
async function discardWork(output: string, runId: string, kernels: Kernels): Promise<void> {
  const isThere = await stat(`${output}${PARTIAL_ENDING}`).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  if (!isThere) return;
  const place = await openOutputFolder(output, kernels);
  if (place.unfinished?.runId === runId) await place.discard();
  else place.leave();
}
