import { JobError } from '../../core/errors.ts';

/**
 * Kernels stop by themselves; this is for what lies between their calls.
 *
 * @throws JobError JOB_CANCELLED once the signal has fired
 */
export function stopIfAsked(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new JobError({
    code: 'JOB_CANCELLED',
    what: 'The job was stopped.',
    whatToDo: 'Start it again when you like.',
  });
}
