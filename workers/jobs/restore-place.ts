import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { RestoreOptions } from '../engine/job-options.ts';
import { discardAfter, newFolderOf, openOutputFolder, refuseExistingOutput } from '../engine/output-folder.ts';
import { newRunId } from '../engine/run-identity.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';

/**
 * Gives a restoration the folder that becomes the output once it is written; nothing stays behind on failure.
 *
 * @param write fills the folder
 * @throws JobError JOB_UNFINISHED_RUN_EXISTS (of another command), JOB_OUTPUT_EXISTS, JOB_OUTPUT_BUSY, JOB_CANCELLED; what `write` throws
 */
export async function writeRestored<T>(
  output: string,
  { force, signal, onEvent }: RestoreOptions,
  kernels: Kernels,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  stopIfAsked(signal);
  const place = await openOutputFolder(output, kernels);
  if (place.unfinished && place.unfinished.command !== 'restore' && !force) {
    place.leave();
    throw new JobError({
      code: 'JOB_UNFINISHED_RUN_EXISTS',
      what: `An interrupted "lathe ${place.unfinished.command}" has left its work beside "${output}".`,
      where: { file: output },
      whatToDo: 'Finish that run with --resume, throw it away with --force, or choose another output.',
    });
  }
  try {
    // Looked at before without the lock; a killed run's former output may also have come back just now.
    await refuseExistingOutput(output, force);
    await place.begin({ runId: newRunId(), command: 'restore' });
    const written = await write(newFolderOf(output));
    stopIfAsked(signal);
    await place.commit(force);
    return written;
  } catch (error) {
    await discardAfter(place, onEvent);
    throw error;
  }
}
