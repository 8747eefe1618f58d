/** Which past runs are kept without being asked for, and how a run's traces are removed. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { wrapFileErrors } from './file-errors.ts';
import { describeRun } from './describe-run.ts';
import { listRunIds, lockRun, runFolderPath } from './run-folder.ts';
import type { RunRecorder } from './run-recorder.ts';

/** Of runs that came to an end and cannot go on; others stay whatever their number and age. */
export const KEPT_RUNS = 200;
export const KEPT_DAYS = 90;
/** At a run's start; what is left over goes at the next. */
const MAX_LOOKED_AT = 20;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Removes past runs that are both old and many, a few at a time: runs beyond the newest 200, and those of more than 90 days.
 * Never fails; what could not be removed stands in the log.
 */
export async function applyRetention(
  home: string,
  own: string,
  kernels: Kernels,
  recorder: RunRecorder,
): Promise<void> {
  try {
    const runIds = (await listRunIds(home)).filter((runId) => runId !== own);
    const beyond = new Set(runIds.slice(KEPT_RUNS - 1));
    // The oldest first: names begin with the time.
    for (const runId of runIds.reverse().slice(0, MAX_LOOKED_AT)) {
      if (!beyond.has(runId) && !isOld(runId, KEPT_DAYS)) return;
      const run = await describeRun(home, runId, () => kernels).catch(() => null);
      if (run === null || run.resumable || run.state === 'running') continue;
      await removeRun(home, runId, kernels);
      recorder.log('debug', 'A past run was removed.', { runId });
    }
  } catch (error) {
    recorder.log('warn', 'Past runs could not be cleaned up.', { why: String(error) });
  }
}

/** Whether a run began so many days ago, by its name; one with another name is never old. */
export function isOld(runId: string, days: number): boolean {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)/.exec(runId);
  if (!match) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number);
  return Date.now() - Date.UTC(year, month - 1, day, hour, minute) > days * DAY_MS;
}

/**
 * Removes the folder of a run, and answers with the bytes that were in it.
 *
 * @throws JobError JOB_OUTPUT_BUSY if it goes on; ResourceError
 */
export async function removeRun(home: string, runId: string, kernels: Kernels): Promise<number> {
  const path = runFolderPath(home, runId);
  const lock = await lockRun(path, runId, kernels);
  try {
    return await wrapFileErrors('remove', path, async () => {
      const bytes = await folderBytes(path);
      await rm(path, { recursive: true, force: true });
      return bytes;
    });
  } finally {
    lock.release();
  }
}

/** Of the files in a run's folder. */
export async function folderBytes(path: string): Promise<number> {
  const names = await readdir(path);
  const facts = await Promise.all(names.map((name) => stat(join(path, name)).catch(() => null)));
  return facts.reduce((sum, file) => sum + (file?.isFile() ? file.size : 0), 0);
}
