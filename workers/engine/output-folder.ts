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
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { JobError } from '../../core/errors.ts';
import type { FileLock, Kernels } from '../../core/kernels/kernels.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import { makeFolders, syncFolder, syncFolderTree, writeFileDurably } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';

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
  commit(): Promise<void>;
  /** Removes the partial folder: nothing of this run stays. */
  discard(): Promise<void>;
  /** Frees the lock and leaves the partial folder for a resume. */
  leave(): void;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
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
  const partial = `${output}${PARTIAL_ENDING}`;
  const [newFolder, oldFolder, runFile] = [newFolderOf(output), join(partial, 'old'), join(partial, 'run.json')];
  await wrapFileErrors('make the folder', partial, () => makeFolders(partial));
  const lock: FileLock = kernels.lockFile(join(partial, 'lock'));
  if (!(await exists(join(partial, 'lock')))) {
    // The run that held it finished and removed the folder between our two steps.
    lock.release();
    return openOutputFolder(output, kernels);
  }
  const unfinished = await readRun(runFile);
  // A crash between the two renames of a commit: the former output goes back to its place.
  if ((await exists(oldFolder)) && !(await exists(output))) {
    await wrapFileErrors('rename', oldFolder, () => rename(oldFolder, output));
  }
  async function discard(): Promise<void> {
    await wrapFileErrors('remove', partial, async () => {
      // The run's name goes last: as long as it is there, a resumed run knows what this folder is.
      for (const part of [newFolder, oldFolder, runFile]) await rm(part, { recursive: true, force: true });
      await rm(partial, { recursive: true, force: true });
      lock.release();
      await syncFolder(dirname(partial));
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
    async commit() {
      await wrapFileErrors('put in place', output, async () => {
        await syncFolderTree(newFolder);
        if ((await exists(output)) && !(await isEmptyFolder(output))) await rename(output, oldFolder);
        await rename(newFolder, output);
        await syncFolder(dirname(output));
      });
      await discard();
    },
    discard,
    leave() {
      lock.release();
    },
  };
}

async function readRun(path: string): Promise<PartialRun | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<PartialRun>;
    return typeof value.runId === 'string' && typeof value.command === 'string'
      ? { runId: value.runId, command: value.command }
      : null;
  } catch {
    return null;
  }
}
