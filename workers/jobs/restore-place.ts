import type { RestoredFile } from '../../core/contract/results.ts';
import type { RunFigures } from '../../core/contract/run-figures.ts';
import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { takeFingerprints } from '../engine/fingerprints.ts';
import { firstLine, optionsOf } from '../engine/first-line.ts';
import type { RestoreOptions } from '../engine/job-options.ts';
import { discardAfter, newFolderOf, openOutputFolder, refuseExistingOutput } from '../engine/output-folder.ts';
import type { UsageSince } from '../engine/process-usage.ts';
import { applyRetention } from '../engine/retention.ts';
import { openRunFolder, type RunFolder } from '../engine/run-folder.ts';
import { newRunId, programVersion } from '../engine/run-identity.ts';
import type { RunRecorder } from '../engine/run-recorder.ts';

/** What a restoration is journaled with. */
export interface RestoreTools {
  kernels: Kernels;
  home: string;
  recorder: RunRecorder;
  usage: () => Promise<UsageSince>;
}

interface Restored {
  files: readonly RestoredFile[];
  lossless: boolean;
  filesIdentical: boolean;
}

/**
 * Gives a restoration the folder that becomes the output once it is written, and a journal; nothing but the journal stays
 * behind on failure, and there is nothing to go on with: it is done anew.
 *
 * @param write fills the folder
 * @throws JobError JOB_UNFINISHED_RUN_EXISTS (of another command), JOB_OUTPUT_EXISTS, JOB_OUTPUT_BUSY, JOB_CANCELLED; what `write` throws
 */
export async function writeRestored<T extends Restored>(
  output: string,
  model: OpenedModel,
  options: RestoreOptions,
  { kernels, home, recorder, usage }: RestoreTools,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  const { force, signal, onEvent } = options;
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
  let run: RunFolder | null = null;
  try {
    // Looked at before without the lock; a killed run's former output may also have come back just now.
    await refuseExistingOutput(output, force);
    const runId = newRunId();
    const asked = { ...optionsOf(options), output };
    const fingerprints = await takeFingerprints(model, asked, programVersion());
    const call = { runId, command: 'restore', model: options.model, output, fingerprints };
    run = await openRunFolder(home, runId, kernels);
    await run.journal.append(firstLine({ ...call, options: asked, paths: ['model'] }, options));
    await run.journal.flush();
    recorder.begin(run);
    recorder.log('info', 'The run begins.', { runId, threads: options.threads });
    await applyRetention(home, runId, kernels, recorder);
    await place.begin({ runId, command: 'restore' });
    const written = await write(newFolderOf(output));
    stopIfAsked(signal);
    await place.commit(force);
    await recorder.done({ ...(await usage()), ...figuresOf(written) });
    return written;
  } catch (error) {
    await discardAfter(place, onEvent);
    if (run) await recorder.failed(error);
    throw error;
  } finally {
    await recorder.close(run);
  }
}

function figuresOf({ files, lossless, filesIdentical }: Restored): Partial<RunFigures> {
  const restoredBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return { files: files.length, restoredBytes, lossless, filesIdentical };
}
