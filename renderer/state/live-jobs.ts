/** What is known of the jobs of the queue: the engine's list, and the events of those that this window asked for. */
import type { QueuedJob } from '../../core/contract/engine-protocol.ts';
import type { JobEvent } from '../../core/contract/progress.ts';
import { formatBytes, formatCount } from '../../core/units.ts';

export interface JobProgress {
  stage: string;
  detail: string | null;
  /** 0 to 1; null before anything is known. */
  fraction: number | null;
  /** Such as `3.1 MiB/s`. */
  rate: string | null;
  etaSeconds: number | null;
  warnings: readonly string[];
}

export const NO_PROGRESS: JobProgress = {
  stage: '',
  detail: null,
  fraction: null,
  rate: null,
  etaSeconds: null,
  warnings: [],
};

/** Progress after an event; the same object where the event says nothing about it. */
export function afterEvent(before: JobProgress, event: JobEvent): JobProgress {
  if (event.event === 'stage') return { ...before, stage: event.stage, detail: event.detail ?? null };
  if (event.event === 'warning') return { ...before, warnings: [...before.warnings, event.message] };
  if (event.event !== 'progress') return before;
  const { stage, fraction, etaSeconds } = event;
  return { ...before, stage, fraction, etaSeconds, rate: rateOf(event) };
}

function rateOf(event: JobEvent & { event: 'progress' }): string | null {
  if ('bytesPerSecond' in event) return event.bytesPerSecond > 0 ? `${formatBytes(event.bytesPerSecond)}/s` : null;
  if ('tokensPerSecond' in event) {
    return event.tokensPerSecond > 0 ? `${formatCount(Math.round(event.tokensPerSecond))} tokens/s` : null;
  }
  return `${event.doneJobs} of ${event.totalJobs} jobs`;
}

/** Whether some job has ended between two lists, so that what is known of past runs is out of date. */
export function someEnded(before: readonly QueuedJob[], after: readonly QueuedJob[]): boolean {
  const ended = new Set(before.filter(({ status }) => isOver(status)).map(({ id }) => id));
  return after.some(({ id, status }) => isOver(status) && !ended.has(id));
}

export function isOver(status: QueuedJob['status']): boolean {
  return status === 'done' || status === 'failed' || status === 'cancelled';
}

/** Those that run, then those that are paused or wait, in the queue's order. */
export function openJobs(jobs: readonly QueuedJob[]): QueuedJob[] {
  return jobs.filter(({ status }) => !isOver(status));
}

/** The job that the bottom strip shows; null where nothing runs or waits. */
export function shownJob(jobs: readonly QueuedJob[]): QueuedJob | null {
  const open = openJobs(jobs);
  return open.find(({ status }) => status === 'running') ?? open[0] ?? null;
}

/** One sentence for those who listen instead of looking. */
export function spokenProgress(job: QueuedJob, progress: JobProgress, eta: string | null): string {
  if (job.status !== 'running') return `${job.label}: ${job.status}`;
  const percent = progress.fraction === null ? '' : `, ${Math.round(100 * progress.fraction)} percent`;
  return `${job.label}: ${progress.stage}${percent}${eta === null ? '' : `, ${eta} left`}`;
}
