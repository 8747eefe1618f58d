import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DTYPE_BITS, isDtype, type Dtype } from '../../../../../core/formats/safetensors/dtypes.ts';
import { elementCount, tensorSizeBytes } from '../../../../../core/formats/safetensors/tensor-size.ts';

test.each<[number[], number | null]>([
  [[], 1],
  [[0], 0],
  [[3, 0, 5], 0],
  [[65_536, 65_536], 2 ** 32],
  [[2 ** 52], 2 ** 52],
  [[3, 3_002_399_751_580_330], 9_007_199_254_740_990],
  [[2 ** 53 - 1], 2 ** 53 - 1],
  [[2 ** 26, 2 ** 27], null],
  [[94_906_267, 94_906_267], null],
  [[0, 2 ** 40, 2 ** 40], null],
  [[2 ** 40, 2 ** 40, 0], null],
  [[2 ** 53], null],
  [[-1], null],
  [[-2, -2], null],
  [[1.5], null],
  [[NaN], null],
  [[Infinity, 0], null],
])('%j has %s elements', (shape, expected) => {
  expect(elementCount(shape)).toBe(expected);
});

test.each<[Dtype, number[], number | 'overflow' | 'fraction']>([
  ['BF16', [2, 3], 12],
  ['F4', [3, 2], 3],
  ['F4', [3], 'fraction'],
  ['F6_E2M3', [4], 3],
  ['F6_E3M2', [2], 'fraction'],
  ['F4', [2 ** 53 - 2], 2 ** 52 - 1],
  ['F64', [2 ** 50], 'overflow'],
  ['F64', [2 ** 49], 2 ** 52],
  ['U8', [2 ** 53 - 1], 2 ** 53 - 1],
  ['U8', [2 ** 53], 'overflow'],
  ['F4', [0], 0],
])('%s %j takes %s bytes', (dtype, shape, expected) => {
  expect(tensorSizeBytes(dtype, shape)).toBe(expected);
});

/** The same rule in whole numbers without limit. */
function reference(dtype: Dtype, shape: number[]): number | 'overflow' | 'fraction' {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  const product = shape.filter((dim) => dim > 0).reduce((all, dim) => all * BigInt(dim), 1n);
  if (product > limit || shape.some((dim) => BigInt(dim) > limit)) return 'overflow';
  const bits = (shape.includes(0) ? 0n : product) * BigInt(DTYPE_BITS[dtype]);
  if (bits % 8n !== 0n) return 'fraction';
  return bits / 8n > limit ? 'overflow' : Number(bits / 8n);
}

test('sizes are exact up to the limit', () => {
  const dim = fc.oneof(fc.nat(70), fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
  const dtype = fc.constantFrom(...(Object.keys(DTYPE_BITS) as Dtype[]));
  fc.assert(
    fc.property(dtype, fc.array(dim, { maxLength: 4 }), (type, shape) => {
      expect(tensorSizeBytes(type, shape)).toBe(reference(type, shape));
    }),
    { numRuns: 3000 },
  );
});

test('names of object parts are no dtypes', () => {
  expect(['BF16', 'F8_E8M0'].every(isDtype)).toBe(true);
  expect(['bf16', 'toString', '__proto__', ''].some(isDtype)).toBe(false);
});
