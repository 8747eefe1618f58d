/**
 * An output folder that is either the old one, or whole: work grows in `<output>.lathe-partial/new` and takes its place
 * by a rename.
 *
 * ```text
 * <output>.lathe-partial/
 *   lock        held by the running process; free again however it ends
 *   run.json    which run this is: { runId, command }
 *   new/        the output as it grows
 *   old/        with --force, the former output between the two renames
 * ```
 * At every instant either `<output>` is there (old or new), or `old/` and a verified `new/` are: a resumed run finishes.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OnJobEvent } from '../../core/contract/progress.ts';
import { JobError, WorkbenchError } from '../../core/errors.ts';
import type { FileLock, Kernels } from '../../core/kernels/kernels.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import { makeFolders, syncFolder, syncFolderTree, writeFileDurably } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';

const LOCK_FILE = 'lock';
const RUN_FILE = 'run.json';
/** Others must end in the midst of each attempt for it to fail. */
const MAX_LOCK_ATTEMPTS = 100;

export interface PartialRun {
  runId: string;
  command: string;
}

/** Where the output at this path grows. */
export function newFolderOf(output: string): string {
  return join(`${output}${PARTIAL_ENDING}`, 'new');
}

export interface OutputFolder {
  /** Whether an output is growing here: after a crash in the midst of `commit` it may be in its place already. */
  hasNewFolder(): Promise<boolean>;
  /** The unfinished run that was found here, if any. */
  unfinished: PartialRun | null;
  /** Throws the unfinished run away and notes the new one. */
  begin(run: PartialRun): Promise<void>;
  /** Puts the finished output in its place. */
  commit(mayReplace: boolean): Promise<void>;
  /** Removes the partial folder, unless it was left, and folders made for it: nothing of this run stays. */
  discard(): Promise<void>;
  /** Frees the lock and leaves the partial folder for a resume. */
  leave(): void;
}

/** Whether there is anything at a path, a link that leads to nothing too. */
async function exists(path: string): Promise<boolean> {
  return wrapFileErrors('look at', path, () =>
    lstat(path).then(
      () => true,
      (error: unknown) => {
        if (isOneOf(error, 'ENOENT', 'ENOTDIR')) return false;
        throw error;
      },
    ),
  );
}

function isOneOf(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

async function isEmptyFolder(path: string): Promise<boolean> {
  const entries = await readdir(path).catch(() => null);
  return entries !== null && entries.length === 0;
}

/** Refuses an output that holds something, unless it may be replaced. Touches nothing. */
export async function refuseExistingOutput(output: string, force: boolean): Promise<void> {
  if (force || !(await exists(output)) || (await isEmptyFolder(output))) return;
  throw new JobError({
    code: 'JOB_OUTPUT_EXISTS',
    what: `The output "${output}" exists and is not empty.`,
    where: { file: output },
    whatToDo: 'Choose another output, or replace it with --force.',
  });
}

/**
 * Takes the place beside an output for one run.
 *
 * @throws JobError JOB_OUTPUT_BUSY if another run works on the same output
 */
export async function openOutputFolder(output: string, kernels: Kernels): Promise<OutputFolder> {
  const madeParents = await missingParents(output);
  const lock = await lockPartialFolder(`${output}${PARTIAL_ENDING}`, kernels);
  try {
    return await openLocked(output, lock, madeParents);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The run that held the lock may remove the folder between any two steps of ours: then it is made anew. */
async function lockPartialFolder(partial: string, kernels: Kernels): Promise<FileLock> {
  for (let attempt = 1; ; attempt++) {
    try {
      await wrapFileErrors('make the folder', partial, () => makeFolders(partial));
      return kernels.lockFile(join(partial, LOCK_FILE));
    } catch (error) {
      const isGone = error instanceof WorkbenchError && error.code === 'FILE_NOT_FOUND';
      if (!isGone || attempt === MAX_LOCK_ATTEMPTS) throw error;
    }
  }
}

/**
 * Removes what a run has left that was killed once its output was in its place: it will not be gone on with, as a command
 * that keeps nothing to go on with is refused by its own output. What another run holds or may go on with stays.
 */
export async function removeSpent(output: string, command: string, kernels: Kernels): Promise<void> {
  if (!(await exists(output)) || !(await exists(`${output}${PARTIAL_ENDING}`))) return;
  let place: OutputFolder;
  try {
    place = await openOutputFolder(output, kernels);
  } catch (error) {
    if (error instanceof WorkbenchError && error.code === 'JOB_OUTPUT_BUSY') return;
    throw error;
  }
  // The run's name goes before the lock's file.
  const names = await readdir(`${output}${PARTIAL_ENDING}`).catch(() => []);
  const isOwn = place.unfinished?.command === command || names.every((name) => name === LOCK_FILE);
  const isGrown = (await place.hasNewFolder()) && !(await isEmptyFolder(newFolderOf(output)));
  if (isOwn && !isGrown) await place.discard();
  else place.leave();
}

/** Folders around an output that are not there yet, the innermost first. */
async function missingParents(output: string): Promise<string[]> {
  const parents: string[] = [];
  for (let parent = dirname(output); !(await exists(parent)); parent = dirname(parent)) parents.push(parent);
  return parents;
}

async function openLocked(output: string, lock: FileLock, madeParents: readonly string[]): Promise<OutputFolder> {
  const partial = `${output}${PARTIAL_ENDING}`;
  const [newFolder, oldFolder, runFile] = [newFolderOf(output), join(partial, 'old'), join(partial, RUN_FILE)];
  /** Once the lock is free, what lies here is another's. */
  let isHeld = true;
  const unfinished = await readRun(runFile);
  await putBack();

  /** After a crash or a failure between the two renames of a commit: the former output goes back to its place. */
  async function putBack(): Promise<void> {
    if (!(await exists(oldFolder)) || (await exists(output))) return;
    await wrapFileErrors('rename', oldFolder, () => rename(oldFolder, output));
  }

  function leave(): void {
    isHeld = false;
    lock.release();
  }

  async function discard(): Promise<void> {
    if (!isHeld) return;
    await putBack();
    await wrapFileErrors('remove', partial, async () => {
      try {
        const others = (await readdir(partial)).filter((name) => name !== RUN_FILE && name !== LOCK_FILE);
        // The run's name goes last: as long as it is there, a resumed run knows what this folder is.
        for (const name of [...others, RUN_FILE, LOCK_FILE]) {
          await rm(join(partial, name), { recursive: true, force: true });
        }
      } finally {
        leave();
      }
      await removeUnlessUsed(partial);
      if (await exists(output)) await syncFolder(dirname(partial));
      else for (const parent of madeParents) await removeUnlessUsed(parent);
    });
  }

  return {
    unfinished,
    hasNewFolder: () => exists(newFolder),
    async begin(run) {
      await wrapFileErrors('write', partial, async () => {
        await rm(runFile, { force: true });
        await rm(newFolder, { recursive: true, force: true });
        await mkdir(newFolder);
      });
      await writeFileDurably(runFile, `${JSON.stringify(run)}\n`);
      await wrapFileErrors('sync', dirname(partial), () => syncFolder(dirname(partial)));
    },
    async commit(mayReplace) {
      await wrapFileErrors('put in place', output, async () => {
        await syncFolderTree(newFolder);
        // It may have come while the job ran.
        await refuseExistingOutput(output, mayReplace);
        const isReplacing = (await exists(output)) && !(await isEmptyFolder(output));
        if (isReplacing) {
          // What a killed run did not come to remove.
          await rm(oldFolder, { recursive: true, force: true });
          await rename(output, oldFolder);
        }
        try {
          await rename(newFolder, output);
        } catch (error) {
          // If this fails too, the next run on this output puts it back.
          if (isReplacing) await rename(oldFolder, output).catch(() => undefined);
          throw error;
        }
        await syncFolder(dirname(output));
      });
      await discard();
    },
    discard,
    leave,
  };
}

/** Removes what a failed job has written; if that fails too, it is told in a warning, beside the job's own error. */
export async function discardAfter(place: OutputFolder, onEvent: OnJobEvent): Promise<void> {
  try {
    await place.discard();
  } catch (error) {
    const why = error instanceof WorkbenchError ? error.what : String(error);
    onEvent({ event: 'warning', message: `What this job has written could not be removed. ${why}` });
  }
}

/** Another run may have begun in a folder since its lock was freed. */
async function removeUnlessUsed(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!isOneOf(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
  }
}

async function readRun(path: string): Promise<PartialRun | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<PartialRun> | null;
    return typeof value?.runId === 'string' && typeof value.command === 'string'
      ? { runId: value.runId, command: value.command }
      : null;
  } catch {
    return null;
  }
}
