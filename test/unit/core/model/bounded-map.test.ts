import { expect, test } from 'vitest';
import { mapBounded } from '../../../../core/model/bounded-map.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('results keep their order, and no more than the limit are at work', async () => {
  let atWork = 0;
  let most = 0;
  const results = await mapBounded([5, 1, 4, 2, 3], 2, async (turns) => {
    most = Math.max(most, ++atWork);
    for (let i = 0; i < turns; i++) await tick();
    atWork--;
    return 10 * turns;
  });
  expect(results).toEqual([50, 10, 40, 20, 30]);
  expect(most).toBe(2);
});

test('maps nothing to nothing', async () => {
  expect(await mapBounded([], 4, () => Promise.reject(new Error('not called')))).toEqual([]);
});

test('after a failure no further call starts, and those at work end first', async () => {
  const started: number[] = [];
  const ended: number[] = [];
  const run = mapBounded([0, 1, 2, 3, 4], 2, async (index) => {
    started.push(index);
    await tick();
    if (index === 0) throw new Error('first');
    await tick();
    ended.push(index);
  });
  await expect(run).rejects.toThrow('first');
  expect(started).toEqual([0, 1]);
  expect(ended).toEqual([1]);
});

test('throws the first of several failures', async () => {
  const run = mapBounded([3, 1], 2, async (turns) => {
    for (let i = 0; i < turns; i++) await tick();
    throw new Error(`after ${turns}`);
  });
  await expect(run).rejects.toThrow('after 1');
});
