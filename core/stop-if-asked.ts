import { JobError } from './errors.ts';

/** What a job that was stopped ends with. */
export function stopped(job?: string): JobError {
  return new JobError({
    code: 'JOB_CANCELLED',
    what: 'The job was stopped.',
    where: { job },
    whatToDo: 'Start it again when you like.',
  });
}

/**
 * Kernels stop by themselves; this is for what lies between their calls.
 *
 * @throws JobError JOB_CANCELLED once the signal has fired
 */
export function stopIfAsked(signal: AbortSignal): void {
  if (signal.aborted) throw stopped();
}
