import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../../../core/contract/progress.ts';
import { createProgressTracker } from '../../../../workers/engine/progress-tracker.ts';

const { signal } = new AbortController();

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

/** A tracker, what it told so far, and a clock. */
function track() {
  const events: JobEvent[] = [];
  const tracker = createProgressTracker(2, signal, (event) => void events.push(event));
  const progress = () => events.flatMap((event) => (event.event === 'progress' && 'doneBytes' in event ? [event] : []));
  const last = () => progress()[progress().length - 1];
  return { events, tracker, progress, last, pass: (milliseconds: number) => vi.advanceTimersByTime(milliseconds) };
}

describe('the options of a call', () => {
  it('are the threads and the signal of the job', () => {
    expect(track().tracker.call()).toMatchObject({ threads: 2, signal });
  });
});

describe('progress', () => {
  it('adds up items, the calls of the item at work, and what the last call reports', () => {
    const { tracker, last, pass } = track();
    tracker.expect(1000);
    tracker.settle(200);
    tracker.call().onProgress?.(50);
    const { onProgress } = tracker.call();
    pass(100);
    onProgress?.(30);
    expect(last()).toMatchObject({ doneBytes: 280, totalBytes: 1000, fraction: 0.28 });
    tracker.settle(100);
    pass(100);
    tracker.stage('next');
    expect(last()).toMatchObject({ stage: 'next', doneBytes: 300 });
  });

  it('is told at most ten times a second', () => {
    const { tracker, progress, pass } = track();
    tracker.expect(1000);
    for (let item = 0; item < 1000; item++) {
      tracker.settle(1);
      pass(1);
    }
    expect(progress().length).toBe(10);
  });

  it('goes neither back nor beyond its end, whatever calls report', () => {
    const { tracker, progress, pass } = track();
    tracker.expect(100);
    for (const [reported, settled] of [
      [70, 20],
      [0, 0],
      [500, 30],
      [10, 500],
    ] as const) {
      tracker.call().onProgress?.(reported);
      pass(100);
      tracker.settle(settled);
      pass(100);
      tracker.stage('again');
    }
    const done = progress().map(({ doneBytes }) => doneBytes);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(Math.max(...done)).toBe(100);
    expect(progress().every(({ fraction }) => fraction <= 1)).toBe(true);
  });

  it('does not go back when there turns out to be more to do, nor when there is less than was done', () => {
    const { tracker, last, pass } = track();
    tracker.expect(100);
    tracker.settle(50);
    tracker.expect(400);
    pass(100);
    tracker.settle(50);
    expect(last()).toMatchObject({ fraction: 0.5, doneBytes: 100, totalBytes: 400 });
    tracker.expect(60);
    pass(100);
    tracker.settle(0);
    expect(last()).toMatchObject({ fraction: 1, doneBytes: 100, totalBytes: 100 });
  });

  it('ends at 1, also where there was nothing to do or less was done than expected', () => {
    for (const total of [0, 100]) {
      const { tracker, last } = track();
      tracker.expect(total);
      tracker.finish();
      expect(last()).toMatchObject({ fraction: 1, doneBytes: total, totalBytes: total });
    }
  });

  it('is not complete before it is finished, where nothing is known of how much there is', () => {
    const { tracker, last } = track();
    tracker.stage('sample');
    expect(last()).toMatchObject({ fraction: 0 });
  });
});

describe('rate and time to go', () => {
  it('are those of the last seconds', () => {
    const { tracker, last, pass } = track();
    tracker.expect(100_000);
    for (let second = 0; second < 20; second++) {
      pass(1000);
      tracker.settle(second < 10 ? 1000 : 3000);
    }
    expect(last()?.bytesPerSecond).toBeCloseTo(3000);
    expect(last()?.etaSeconds).toBeCloseTo(20);
  });

  it('do not count what was done before a resume', () => {
    const { tracker, last, pass } = track();
    tracker.expect(100_000);
    tracker.skip(50_000);
    tracker.settle(50_000);
    pass(1000);
    tracker.settle(1000);
    tracker.skip(20_000);
    tracker.settle(20_000);
    pass(1000);
    tracker.settle(1000);
    expect(last()).toMatchObject({ doneBytes: 72_000, bytesPerSecond: 1000, etaSeconds: 28 });
  });

  it('are not known at first, nor while nothing moves', () => {
    const { tracker, last, pass } = track();
    tracker.expect(1000);
    tracker.settle(0);
    expect(last()).toMatchObject({ bytesPerSecond: 0, etaSeconds: null });
    pass(60_000);
    tracker.settle(0);
    expect(last()).toMatchObject({ bytesPerSecond: 0, etaSeconds: null });
  });

  it('do not depend on the clock on the wall', () => {
    const { tracker, last, pass } = track();
    tracker.expect(1000);
    vi.setSystemTime(0);
    pass(1000);
    tracker.settle(100);
    expect(last()).toMatchObject({ doneBytes: 100, bytesPerSecond: 100 });
  });
});

describe('a stage', () => {
  it('is told when it or its detail changes', () => {
    const { tracker, events, pass } = track();
    for (const detail of ['a', 'a', 'b', undefined]) {
      tracker.stage('compress', detail);
      pass(100);
    }
    tracker.stage('verify');
    tracker.stage('verify');
    expect(events.filter(({ event }) => event === 'stage')).toEqual([
      { event: 'stage', stage: 'compress', detail: 'a' },
      { event: 'stage', stage: 'compress', detail: 'b' },
      { event: 'stage', stage: 'compress', detail: undefined },
      { event: 'stage', stage: 'verify', detail: undefined },
    ]);
  });

  it('is told with each new name, and its details at most ten times a second, the last one too', () => {
    const { tracker, events, pass } = track();
    for (let item = 0; item < 1000; item++) {
      tracker.stage('compress', `item ${item}`);
      pass(1);
    }
    for (const name of ['one', 'two', 'three']) tracker.stage(name);
    tracker.stage('three', 'last');
    tracker.finish();
    const stages = events.flatMap((event) => (event.event === 'stage' ? [event] : []));
    expect(stages.filter(({ stage }) => stage === 'compress').length).toBe(10);
    expect(stages.slice(-4).map(({ stage, detail }) => detail ?? stage)).toEqual(['one', 'two', 'three', 'last']);
  });
});
