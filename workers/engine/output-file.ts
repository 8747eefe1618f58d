/**
 * One file as a job's output: it grows in `<output>.lathe-partial/`, and takes its place by a rename once it is whole.
 *
 * At every instant the old file is there, or the new one; after a failure nothing of the new one.
 */
import { lstat, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { OnJobEvent } from '../../core/contract/progress.ts';
import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import { makeFolders, syncFolder } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';
import { discardAfter, openOutputFolder } from './output-folder.ts';
import { newRunId } from './run-identity.ts';

/**
 * Writes a file.
 *
 * @param output absolute
 * @param write fills the file at the path that it is given, and returns once its bytes are on the disk
 * @throws JobError JOB_OUTPUT_EXISTS, JOB_OUTPUT_BUSY, JOB_UNFINISHED_RUN_EXISTS; what `write` throws
 */
export async function writeOutputFile<Result>(
  output: string,
  command: string,
  { force, kernels, onEvent }: { force: boolean; kernels: Kernels; onEvent: OnJobEvent },
  write: (path: string) => Promise<Result>,
): Promise<Result> {
  await refuseExistingFile(output, force);
  await wrapFileErrors('make the folder', dirname(output), () => makeFolders(dirname(output)));
  const place = await openOutputFolder(output, kernels);
  if (place.unfinished !== null && place.unfinished.command !== command && !force) {
    place.leave();
    throw new JobError({
      code: 'JOB_UNFINISHED_RUN_EXISTS',
      what: `An interrupted "lathe ${place.unfinished.command}" has left its work beside "${output}".`,
      where: { file: output },
      whatToDo: 'Finish that run, throw it away with --force, or choose another output.',
    });
  }
  try {
    await place.begin({ runId: newRunId(), command });
    const path = join(`${output}${PARTIAL_ENDING}`, 'new', basename(output));
    const result = await write(path);
    await refuseExistingFile(output, force);
    await wrapFileErrors('put in place', output, async () => {
      await rename(path, output);
      await syncFolder(dirname(output));
    });
    await place.discard();
    return result;
  } catch (error) {
    await discardAfter(place, onEvent);
    throw error;
  }
}

/** Refuses a folder in any case, and a file unless it may be replaced. */
export async function refuseExistingFile(output: string, force: boolean): Promise<void> {
  const facts = await lstat(output).catch(() => null);
  if (facts === null || (force && !facts.isDirectory())) return;
  throw new JobError({
    code: 'JOB_OUTPUT_EXISTS',
    what: facts.isDirectory()
      ? `The output "${output}" is a folder, expected a file.`
      : `The output "${output}" exists.`,
    where: { file: output },
    whatToDo: facts.isDirectory() ? 'Name a file in it.' : 'Choose another output, or replace it with --force.',
  });
}
