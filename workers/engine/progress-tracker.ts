/** One progress line for a whole job out of many kernel calls: fraction, rate over the last seconds, time to go. */
import type { OnJobEvent } from '../../core/contract/progress.ts';
import type { CallOptions } from '../../core/kernels/kernels.ts';

/** Rates are taken over this time: short enough to follow a change, long enough not to jump. */
const RATE_WINDOW_MS = 5000;
const MIN_INTERVAL_MS = 100;

export interface ProgressTracker {
  /** Sets how many original bytes the whole job will work through; may be corrected later. */
  expect(totalBytes: number): void;
  /** Names the stage that follows. */
  stage(stage: string, detail?: string): void;
  /** Options for the next kernel call; its bytes add to the job's. */
  call(): CallOptions;
  /** Counts bytes that need no work (already done before a resume). */
  skip(bytes: number): void;
  /** Brings the count forward by an item, whatever its calls reported. */
  settle(itemBytes: number): void;
}

export function createProgressTracker(threads: number, signal: AbortSignal, onEvent: OnJobEvent): ProgressTracker {
  let totalBytes = 0;
  let settledBytes = 0;
  let skippedBytes = 0;
  let finishedCalls = 0;
  let currentCall = 0;
  let stageName = '';
  let lastEmit = 0;
  const samples: { at: number; bytes: number }[] = [{ at: Date.now(), bytes: 0 }];
  let highest = 0;

  function emit(force: boolean): void {
    const now = Date.now();
    if (!force && now - lastEmit < MIN_INTERVAL_MS) return;
    lastEmit = now;
    highest = Math.min(totalBytes, Math.max(highest, settledBytes + finishedCalls + currentCall));
    samples.push({ at: now, bytes: highest });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > RATE_WINDOW_MS) samples.shift();
    const first = samples[0] ?? { at: now, bytes: highest };
    const elapsed = (now - first.at) / 1000;
    const rate = elapsed > 0 ? Math.max(0, highest - Math.max(first.bytes, skippedBytes)) / elapsed : 0;
    onEvent({
      event: 'progress',
      stage: stageName,
      fraction: totalBytes === 0 ? 1 : highest / totalBytes,
      doneBytes: highest,
      totalBytes,
      bytesPerSecond: rate,
      etaSeconds: rate > 0 ? (totalBytes - highest) / rate : null,
    });
  }

  return {
    expect(bytes) {
      totalBytes = bytes;
    },
    stage(stage, detail) {
      if (stage !== stageName) {
        stageName = stage;
        onEvent({ event: 'stage', stage, detail });
      }
      emit(false);
    },
    call: () => {
      finishedCalls += currentCall;
      currentCall = 0;
      return {
        threads,
        signal,
        onProgress: (doneBytes) => {
          currentCall = doneBytes;
          emit(false);
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
      emit(settledBytes >= totalBytes);
    },
  };
}
