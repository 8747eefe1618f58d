import { describe, expect, test } from 'vitest';
import {
  bitsPerWeight,
  formatBytes,
  formatCount,
  formatFraction,
  formatSeconds,
  parseBytes,
} from '../../../core/units.ts';
import { errorOf } from '../../helpers/error-of.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [13_910_360, '13.3 MiB'],
  [5 * 1024 ** 3, '5.00 GiB'],
  [3000 * 1024 ** 4, '3000.0 TiB'],
])('formats %i bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0.2, '0.2 s'],
  [59.4, '59 s'],
  [59.6, '1 min 0 s'],
  [75, '1 min 15 s'],
  [3600, '1 h 0 min'],
  [7322, '2 h 2 min'],
])('formats %f seconds as %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test('formats fractions as percent and counts by thousands', () => {
  expect(formatFraction(0.2732)).toBe('27.32 %');
  expect(formatCount(6_951_168)).toBe('6,951,168');
});

test('bits per weight are stored bits over weights, and 0 where there are no weights', () => {
  expect(bitsPerWeight(11, 8)).toBe(11);
  expect(bitsPerWeight(11, 0)).toBe(0);
});

describe('a count of bytes', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['8GiB', 8 * 1024 ** 3],
    [' 512 MiB ', 512 * 1024 ** 2],
    ['512m', 512 * 1024 ** 2],
    ['500MB', 500_000_000],
    ['1.5k', 1536],
    ['2tb', 2e12],
  ])('is read from "%s"', (text, bytes) => {
    expect(parseBytes(text, '--memory-limit')).toBe(bytes);
  });

  test.each(['', 'GiB', '-1', '1e9', '1,5', '8 gigabytes', '9007199254740993', '99999 TiB', '0x10', 'NaN', '8GiB8'])(
    'is refused as "%s"',
    async (text) => {
      const error = await errorOf(() => parseBytes(text, '--memory-limit'));
      expect(error).toMatchObject({ code: 'USAGE_INVALID_ARGUMENT' });
      expect(error.what).toContain('--memory-limit');
    },
  );
});
