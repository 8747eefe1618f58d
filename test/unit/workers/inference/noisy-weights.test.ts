import { expect, test } from 'vitest';
import type { WeightSource } from '../../../../core/model/weight-source.ts';
import { moveToNeighbours, NoisyWeights } from '../../../../workers/inference/noisy-weights.ts';

/** Of a float32, rounded towards zero. */
function bf16Below(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  return new Float32Array(Uint32Array.of(bits[0]! & 0xffff0000).buffer)[0]!;
}

function nextBf16(value: number, steps: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  return new Float32Array(Uint32Array.of(bits[0]! + steps * 0x10000).buffer)[0]!;
}

test('a weight of BF16 goes to the next one above or below, each about as often', () => {
  const values = [1, -1, 0.5, 1.0078125, -3e-5, 1e20, 2 ** -126].map(bf16Below);
  for (const value of values) {
    const weights = new Float32Array(2000).fill(value);
    moveToNeighbours(weights, 1);
    const neighbours = [nextBf16(value, 1), nextBf16(value, -1)];
    const ups = weights.filter((moved) => moved === neighbours[0]).length;
    const downs = weights.filter((moved) => moved === neighbours[1]).length;
    expect(ups + downs).toBe(2000);
    expect(Math.abs(ups - downs)).toBeLessThan(200);
  }
});

test('any other weight goes to one of the two that it lies between', () => {
  for (const value of [0.1, -0.3, 1.001]) {
    const weights = new Float32Array(500).fill(value);
    moveToNeighbours(weights, 2);
    const below = bf16Below(value);
    expect(new Set(weights)).toEqual(new Set([below, nextBf16(below, 1)]));
  }
});

test('zeros stay, and nothing becomes infinite', () => {
  const greatest = nextBf16(Infinity, -1);
  const weights = Float32Array.from({ length: 400 }, (_, index) => [0, -0, greatest, -greatest][index % 4]!);
  moveToNeighbours(weights, 3);
  weights.forEach((moved, index) => {
    if (index % 4 < 2) expect(moved === 0).toBe(true);
    else expect(Number.isFinite(moved)).toBe(true);
  });
});

test('seed and name decide, and nothing else', async () => {
  const source: WeightSource = {
    names: new Set(['a', 'b']),
    shapeOf: () => [100],
    read: (_, out) => {
      out.fill(1);
      return Promise.resolve();
    },
  };
  const read = async (name: string, seed: number) => {
    const out = new Float32Array(100);
    await new NoisyWeights(source, seed).read(name, out);
    return [...out];
  };
  expect(await read('a', 1)).toEqual(await read('a', 1));
  expect(await read('a', 1)).not.toEqual(await read('a', 2));
  expect(await read('a', 1)).not.toEqual(await read('b', 1));
  const noisy = new NoisyWeights(source, 1);
  expect([noisy.names, noisy.shapeOf('a')]).toEqual([source.names, [100]]);
});
