/** One progress line for a job that runs a model: fraction, tokens a second over the last seconds, time to go. */
import { performance } from 'node:perf_hooks';
import type { OnJobEvent } from '../../core/contract/progress.ts';

/** Rates are taken over this time, or over the last two batches where those take longer. */
const RATE_WINDOW_MS = 10_000;
const MIN_INTERVAL_MS = 100;

export interface TokenProgress {
  /** Sets how many tokens the whole job will run. */
  expect(totalTokens: number): void;
  /** Names the stage that follows. */
  stage(stage: string, detail?: string): void;
  /** Counts tokens that need no work (already done before a resume). */
  skip(tokens: number): void;
  /** Counts tokens that were run. */
  add(tokens: number): void;
}

export function createTokenProgress(onEvent: OnJobEvent, now: () => number = () => performance.now()): TokenProgress {
  let [totalTokens, doneTokens, workedTokens] = [0, 0, 0];
  let stageName = '';
  let lastEmit = -Infinity;
  let samples = [{ at: now(), workedTokens }];

  function emit(): void {
    const at = now();
    samples.push({ at, workedTokens });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > RATE_WINDOW_MS) samples.shift();
    const isDone = doneTokens >= totalTokens;
    if (!isDone && at - lastEmit < MIN_INTERVAL_MS) return;
    lastEmit = at;
    const first = samples[0] ?? { at, workedTokens };
    const seconds = (at - first.at) / 1000;
    const tokensPerSecond = seconds > 0 ? (workedTokens - first.workedTokens) / seconds : 0;
    onEvent({
      event: 'progress',
      stage: stageName,
      fraction: totalTokens === 0 ? 1 : Math.min(1, doneTokens / totalTokens),
      doneTokens,
      totalTokens,
      tokensPerSecond,
      etaSeconds: tokensPerSecond > 0 ? Math.max(0, totalTokens - doneTokens) / tokensPerSecond : null,
    });
  }

  return {
    expect(tokens) {
      totalTokens = tokens;
    },
    stage(stage, detail) {
      // What went before, such as loading, says nothing of the rate.
      if (stage !== stageName) samples = [{ at: now(), workedTokens }];
      stageName = stage;
      onEvent({ event: 'stage', stage, detail });
    },
    skip(tokens) {
      doneTokens += tokens;
    },
    add(tokens) {
      doneTokens += tokens;
      workedTokens += tokens;
      emit();
    },
  };
}
