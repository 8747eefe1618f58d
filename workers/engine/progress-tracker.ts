/** One progress line for a whole job out of many kernel calls: fraction, rate over the last seconds, time to go. */
import type { OnJobEvent } from '../../core/contract/progress.ts';
import type { CallOptions } from '../../core/kernels/kernels.ts';

/** Rates are taken over this time: short enough to follow a change, long enough not to jump. */
const RATE_WINDOW_MS = 5000;
const MIN_INTERVAL_MS = 100;

export interface ProgressTracker {
  /** For calls from now on. */
  useThreads(count: number): void;
  /** Sets how many original bytes the whole job will work through; may be corrected later. */
  expect(totalBytes: number): void;
  /** Names the stage that follows, and what in it: the stage is told at once, what in it as often as progress is. */
  stage(stage: string, detail?: string): void;
  /** Options for the next kernel call; its bytes add to the job's. */
  call(): CallOptions;
  /** Counts bytes of the next item that need no work (already done before a resume). */
  skip(bytes: number): void;
  /** Brings the count forward by an item, whatever its calls reported. */
  settle(itemBytes: number): void;
  /** Everything is done. */
  finish(): void;
}

export function createProgressTracker(allThreads: number, signal: AbortSignal, onEvent: OnJobEvent): ProgressTracker {
  let threads = allThreads;
  let totalBytes = 0;
  let settledBytes = 0;
  let skippedBytes = 0;
  let finishedCalls = 0;
  let currentCall = 0;
  /** What was told last; neither ever goes back. */
  let doneBytes = 0;
  let fraction = 0;
  let stageName = '';
  let stageDetail: string | undefined;
  let isDetailTold = true;
  let lastEmit = -Infinity;
  const samples = [{ at: performance.now(), workedBytes: 0 }];

  function emitIfDue(): void {
    const now = performance.now();
    if (now - lastEmit >= MIN_INTERVAL_MS) emit(now);
  }

  function tellStage(): void {
    isDetailTold = true;
    onEvent({ event: 'stage', stage: stageName, detail: stageDetail });
  }

  function emit(now: number): void {
    lastEmit = now;
    if (!isDetailTold) tellStage();
    doneBytes = Math.max(doneBytes, Math.min(totalBytes, settledBytes + finishedCalls + currentCall));
    if (totalBytes > 0) fraction = Math.max(fraction, doneBytes / totalBytes);
    const bytesPerSecond = rateAt(now);
    const etaSeconds = bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : null;
    onEvent({ event: 'progress', stage: stageName, fraction, doneBytes, totalBytes, bytesPerSecond, etaSeconds });
  }

  function rateAt(now: number): number {
    const workedBytes = Math.max(0, doneBytes - skippedBytes);
    samples.push({ at: now, workedBytes });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > RATE_WINDOW_MS) samples.shift();
    const first = samples[0] ?? { at: now, workedBytes };
    const seconds = (now - first.at) / 1000;
    return seconds > 0 ? Math.max(0, workedBytes - first.workedBytes) / seconds : 0;
  }

  return {
    useThreads(count) {
      threads = count;
    },
    expect(bytes) {
      totalBytes = Math.max(bytes, doneBytes);
    },
    stage(stage, detail) {
      const isNew = stage !== stageName;
      if (isNew || detail !== stageDetail) isDetailTold = false;
      stageName = stage;
      stageDetail = detail;
      // Ten thousand small items must not become as many messages.
      if (isNew) tellStage();
      emitIfDue();
    },
    call: () => {
      finishedCalls += currentCall;
      currentCall = 0;
      return {
        threads,
        signal,
        onProgress: (callBytes) => {
          currentCall = callBytes;
          emitIfDue();
        },
      };
    },
    skip(bytes) {
      skippedBytes += bytes;
    },
    settle(itemBytes) {
      settledBytes += itemBytes;
      finishedCalls = 0;
      currentCall = 0;
      emitIfDue();
    },
    finish() {
      settledBytes = totalBytes;
      finishedCalls = 0;
      currentCall = 0;
      fraction = 1;
      emit(performance.now());
    },
  };
}
