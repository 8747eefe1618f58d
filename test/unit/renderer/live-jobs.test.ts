import { describe, expect, it } from 'vitest';
import type { QueuedJob } from '../../../core/contract/engine-protocol.ts';
import {
  afterEvent,
  NO_PROGRESS,
  openJobs,
  shownJob,
  someEnded,
  spokenProgress,
} from '../../../renderer/state/live-jobs.ts';

function job(id: string, status: QueuedJob['status']): QueuedJob {
  return { id, label: `label ${id}`, priority: 0, status, error: null };
}

describe('afterEvent', () => {
  it('keeps stage, fraction, rate and time to go', () => {
    const staged = afterEvent(NO_PROGRESS, { event: 'stage', stage: 'compress', detail: 'block 2' });
    const going = afterEvent(staged, {
      event: 'progress',
      stage: 'compress',
      fraction: 0.5,
      doneBytes: 1,
      totalBytes: 2,
      bytesPerSecond: 2 ** 20,
      etaSeconds: 3,
    });
    expect(going).toMatchObject({
      stage: 'compress',
      detail: 'block 2',
      fraction: 0.5,
      rate: '1.00 MiB/s',
      etaSeconds: 3,
    });
    expect(afterEvent(going, { event: 'note', message: 'x' })).toBe(going);
    expect(afterEvent(going, { event: 'warning', message: 'w' }).warnings).toEqual(['w']);
  });

  it('counts tokens and jobs in their own units', () => {
    const event = { event: 'progress', stage: 's', fraction: 0, etaSeconds: null } as const;
    expect(afterEvent(NO_PROGRESS, { ...event, doneTokens: 0, totalTokens: 9, tokensPerSecond: 1234.5 }).rate).toBe(
      '1,235 tokens/s',
    );
    expect(afterEvent(NO_PROGRESS, { ...event, doneJobs: 1, totalJobs: 4 }).rate).toBe('1 of 4 jobs');
  });
});

describe('the queue', () => {
  const jobs = [job('a', 'done'), job('b', 'paused'), job('c', 'running'), job('d', 'waiting')];

  it('shows the job that runs, else the first that has not ended', () => {
    expect(shownJob(jobs)?.id).toBe('c');
    expect(shownJob(jobs.slice(0, 2))?.id).toBe('b');
    expect(shownJob([job('a', 'failed')])).toBeNull();
    expect(openJobs(jobs)).toHaveLength(3);
  });

  it('notices that a job has ended', () => {
    expect(someEnded(jobs, [...jobs.slice(0, 2), job('c', 'done')])).toBe(true);
    expect(someEnded(jobs, [...jobs])).toBe(false);
  });

  it('says how a job stands in a sentence', () => {
    const progress = { ...NO_PROGRESS, stage: 'verify', fraction: 0.417 };
    expect(spokenProgress(job('c', 'running'), progress, '0:42')).toBe('label c: verify, 42 percent, 0:42 left');
    expect(spokenProgress(job('d', 'paused'), progress, null)).toBe('label d: paused');
  });
});
