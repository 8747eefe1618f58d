import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupBySize } from '../../../../../core/methods/lossless/group-by-size.ts';

const group = (sizes: number[], limit: number) => groupBySize(sizes, (size) => size, limit);

test.each([
  [[], []],
  [[5], [[5]]],
  [
    [5, 5, 5],
    [[5, 5], [5]],
  ],
  [
    [3, 3, 3, 3, 3],
    [[3, 3, 3, 3], [3]],
  ],
  [
    [100, 1, 1],
    [[100], [1, 1]],
  ],
  [
    [1, 100, 1],
    [[1, 100], [1]],
  ],
  [[0, 0, 0], [[0, 0, 0]]],
])('%j falls into %j where 10 is enough', (sizes, groups) => {
  expect(group(sizes, 10)).toEqual(groups);
});

test('groups keep the order, and none but the last is too small', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30)), fc.integer({ min: 1, max: 50 }), (sizes, limit) => {
      const groups = group(sizes, limit);
      expect(groups.flat()).toEqual(sizes);
      const sums = groups.map((sizesOf) => sizesOf.reduce((sum, size) => sum + size, 0));
      expect(sums.slice(0, -1).every((sum) => sum >= limit)).toBe(true);
    }),
  );
});
