import { expect, test } from 'vitest';
import type { JobEvent } from '../../../../core/contract/progress.ts';
import { createTokenProgress } from '../../../../workers/engine/token-progress.ts';

function create() {
  const clock = { ms: 0 };
  const events: JobEvent[] = [];
  const progress = createTokenProgress(
    (event) => events.push(event),
    () => clock.ms,
  );
  return { clock, events, progress };
}

test('tells fraction, rate and time to go', () => {
  const { clock, events, progress } = create();
  progress.expect(1000);
  progress.stage('evaluate', 'text');
  clock.ms = 1000;
  progress.add(200);
  expect(events).toEqual([
    { event: 'stage', stage: 'evaluate', detail: 'text' },
    {
      event: 'progress',
      stage: 'evaluate',
      fraction: 0.2,
      doneTokens: 200,
      totalTokens: 1000,
      tokensPerSecond: 200,
      etaSeconds: 4,
    },
  ]);
});

test('what was done before counts as done, not as speed', () => {
  const { clock, events, progress } = create();
  progress.expect(1000);
  progress.stage('evaluate');
  progress.skip(600);
  clock.ms = 2000;
  progress.add(100);
  expect(events.at(-1)).toMatchObject({ fraction: 0.7, doneTokens: 700, tokensPerSecond: 50, etaSeconds: 6 });
});

test('the rate is that of the last ten seconds, and loading does not count', () => {
  const { clock, events, progress } = create();
  progress.expect(1e6);
  progress.stage('load');
  clock.ms = 60_000;
  progress.stage('evaluate');
  for (let second = 0; second < 20; second++) {
    clock.ms += 1000;
    progress.add(second < 5 ? 10 : 1000);
  }
  expect(events.at(-1)).toMatchObject({ tokensPerSecond: 1000 });
});

test('tells at most ten times a second, and the end in any case', () => {
  const { clock, events, progress } = create();
  progress.expect(1000);
  progress.stage('evaluate');
  for (let token = 0; token < 999; token++) {
    clock.ms += 1;
    progress.add(1);
  }
  expect(events.filter(({ event }) => event === 'progress')).toHaveLength(10);
  progress.add(1);
  expect(events.at(-1)).toMatchObject({ fraction: 1, doneTokens: 1000, etaSeconds: 0 });
});
