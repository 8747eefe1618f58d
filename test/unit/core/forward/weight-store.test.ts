import { describe, expect, test } from 'vitest';
import { WeightStore } from '../../../../core/forward/weight-store.ts';
import type { WeightSource } from '../../../../core/model/weight-source.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { NumericsError } from '../../../../core/errors.ts';

const ELEMENTS = 16;
const PART_BYTES = 4 * ELEMENTS;

/** Parts of one tensor each, `t0` to `t4`; each tensor holds its number. */
function parts(count: number) {
  return Array.from({ length: count }, (_, index) => [
    { input: 'weight', tensor: `t${index}`, shape: [4, 4], addsOne: false },
  ]);
}

function source(reads: string[], fails: (name: string) => boolean = () => false): WeightSource {
  return {
    names: new Set(),
    shapeOf: () => [4, 4],
    async read(name, out) {
      reads.push(name);
      await Promise.resolve();
      if (fails(name)) {
        throw new NumericsError({ code: 'NUMERICS_NOT_FINITE', what: name, whatToDo: 'Look.' });
      }
      out.fill(Number(name.slice(1)));
    },
  };
}

async function walk(store: WeightStore, count: number): Promise<number[]> {
  const seen: number[] = [];
  for (let index = 0; index < count; index++) {
    const weights = await store.acquire(index);
    // Time for the next read to end, which must not touch these.
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push(weights.get(`t${index}`)![0]!);
  }
  return seen;
}

describe('a weight store', () => {
  test.each([1, 2, 3, 4, 5])('gives each of %i parts its own weights, however few stay in memory', async (count) => {
    for (let held = 0; held <= count; held++) {
      const store = new WeightStore(source([]), parts(count), held * PART_BYTES);
      expect(store.isStreaming).toBe(held < count);
      const expected = Array.from({ length: count }, (_, index) => index);
      expect(await walk(store, count)).toEqual(expected);
      expect(await walk(store, count)).toEqual(expected);
    }
  });

  test('reads once what stays, and again what lost its place', async () => {
    const reads: string[] = [];
    const store = new WeightStore(source(reads), parts(5), 4 * PART_BYTES);
    await walk(store, 5);
    await walk(store, 5);
    const times = (name: string) => reads.filter((read) => read === name).length;
    expect(['t0', 't1'].map(times)).toEqual([1, 1]);
    // The three others share two buffers: one of them is still there when its turn comes again.
    expect(['t2', 't3', 't4'].map(times)).toEqual([2, 1, 2]);
  });

  test('reads a tensor once that two resident parts share', async () => {
    const reads: string[] = [];
    const [first] = parts(1);
    const store = WeightStore.resident(source(reads), [first!, first!]);
    expect((await store.acquire(0)).get('t0')).toBe((await store.acquire(1)).get('t0'));
    expect(reads).toEqual(['t0']);
  });

  test('fails where the part is asked for, and tries again', async () => {
    let isBroken = true;
    for (const budget of [0, Infinity]) {
      isBroken = true;
      const store = new WeightStore(
        source([], (name) => isBroken && name === 't1'),
        parts(3),
        budget,
      );
      await store.acquire(0);
      expect(await errorOf(() => store.acquire(1))).toHaveProperty('code', 'NUMERICS_NOT_FINITE');
      isBroken = false;
      expect((await store.acquire(1)).get('t1')![0]).toBe(1);
    }
  });

  test('adds one where a norm is stored minus one', async () => {
    const [[binding]] = parts(1) as [[ReturnType<typeof parts>[0][0]]];
    const store = WeightStore.resident(source([]), [[{ ...binding, addsOne: true }]]);
    expect((await store.acquire(0)).get('t0')![5]).toBe(1);
  });
});
