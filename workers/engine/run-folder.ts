/**
 * What a run keeps in `LATHE_HOME/runs/<id>/`:
 *
 * ```text
 * journal.jsonl   what was asked, what is done, how it ended
 * log.ndjson      what happened, for people (log.1.ndjson: what happened before)
 * scores.bin      of an unfinished evaluation
 * lock            held by the process that runs it; free again however that ends
 * ```
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { JobError, WorkbenchError } from '../../core/errors.ts';
import type { FileLock, Kernels } from '../../core/kernels/kernels.ts';
import { makeFolders } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';
import { journalPath, openJournal, type Journal } from './journal.ts';
import { RunLog } from './run-log.ts';

/** Whoever asks whether a run goes on holds its lock for an instant: a run that begins then tries again. */
const LOCK_ATTEMPTS = 10;
const LOCK_RETRY_MS = 20;

export interface RunFolder {
  runId: string;
  path: string;
  journal: Journal;
  log: RunLog;
  /** Closes journal and log, and frees the lock; its file goes too. */
  close(): Promise<void>;
}

export function runsFolder(home: string): string {
  return join(home, 'runs');
}

export function runFolderPath(home: string, runId: string): string {
  return dirname(journalPath(home, runId));
}

/** Names of the folders of all runs, newest first: names begin with the time. Empty where there are none yet. */
export async function listRunIds(home: string): Promise<string[]> {
  const path = runsFolder(home);
  return wrapFileErrors('list', path, async () => {
    try {
      const entries = await readdir(path, { withFileTypes: true });
      const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      return folders.sort().reverse();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  });
}

/**
 * Takes a run's folder, made if need be, for this process.
 *
 * @throws JobError JOB_OUTPUT_BUSY where another process runs it; ResourceError
 */
export async function openRunFolder(home: string, runId: string, kernels: Kernels): Promise<RunFolder> {
  const path = runFolderPath(home, runId);
  await wrapFileErrors('make the folder', path, () => makeFolders(path));
  const lock = await lockRun(path, runId, kernels);
  try {
    const journal = await openJournal(journalPath(home, runId));
    const log = new RunLog(path);
    return {
      runId,
      path,
      journal,
      log,
      async close() {
        try {
          await log.close();
          await journal.close();
        } finally {
          await freeLock(path, lock);
        }
      },
    };
  } catch (error) {
    await freeLock(path, lock);
    throw error;
  }
}

/**
 * Takes the lock of a run.
 *
 * @throws JobError JOB_OUTPUT_BUSY
 */
export async function lockRun(path: string, runId: string, kernels: Kernels): Promise<FileLock> {
  for (let attempt = 1; ; attempt++) {
    try {
      return kernels.lockFile(lockPath(path));
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (attempt === LOCK_ATTEMPTS) throw busy(runId, error);
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  }
}

/** Whether a process has a run in its hands, as the system's lock says: no number of a process can be another's. */
export async function isRunning(home: string, runId: string, kernels: () => Kernels): Promise<boolean> {
  const path = runFolderPath(home, runId);
  const isThere = await stat(lockPath(path)).then(
    () => true,
    () => false,
  );
  // Looking must not make the file.
  if (!isThere) return false;
  try {
    kernels().lockFile(lockPath(path)).release();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  }
}

function lockPath(path: string): string {
  return join(path, 'lock');
}

/** The file goes first: whoever waits for it then makes a new one. */
async function freeLock(path: string, lock: FileLock): Promise<void> {
  try {
    await rm(lockPath(path), { force: true });
  } finally {
    lock.release();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof WorkbenchError && error.code === 'JOB_OUTPUT_BUSY';
}

function busy(runId: string, cause: unknown): JobError {
  return new JobError({
    code: 'JOB_OUTPUT_BUSY',
    what: `The run ${runId} is still going on in another process.`,
    where: { job: runId },
    whatToDo: 'Wait until it has ended, or stop it first.',
    retryable: true,
    cause,
  });
}
