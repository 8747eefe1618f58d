import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shareBytes } from '../../../../../core/methods/lossless/share-bytes.ts';

test.each([
  [100, [1, 1], [50, 50]],
  [100, [1, 3], [25, 75]],
  [1, [1, 1, 1], [0, 1, 0]],
  [0, [1, 2], [0, 0]],
  [7, [5], [7]],
  [7, [], []],
])('%i bytes over weights %j are %j', (total, weights, shares) => {
  expect(shareBytes(total, weights)).toEqual(shares);
});

test('shares are whole, in proportion to within a byte, and add up', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.nat(1e12), weights, (total, list) => {
      const shares = shareBytes(total, list);
      const sum = list.reduce((all, weight) => all + weight, 0);
      expect(shares.reduce((all, share) => all + share, 0)).toBe(total);
      for (const [index, share] of shares.entries()) {
        expect(Number.isInteger(share)).toBe(true);
        expect(Math.abs(share - (total * list[index]!) / sum)).toBeLessThanOrEqual(1.001);
      }
    }),
  );
});
