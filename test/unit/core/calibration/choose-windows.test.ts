import { expect, test } from 'vitest';
import { chooseWindows } from '../../../../core/calibration/choose-windows.ts';

const WINDOWS = Array.from({ length: 100 }, (_, place) => place);

test('the same seed chooses the same windows, another one others', () => {
  const chosen = chooseWindows(WINDOWS, 10, 0);
  // Written down once: calibrations of all machines and releases must agree.
  expect(chosen).toEqual([1, 17, 23, 26, 48, 49, 56, 61, 63, 67]);
  expect(chooseWindows(WINDOWS, 10, 1)).not.toEqual(chosen);
});

test('all are chosen where there are no more', () => {
  expect(chooseWindows(WINDOWS, 100, 3)).toEqual(WINDOWS);
  expect(chooseWindows(WINDOWS, 1000, 3)).toEqual(WINDOWS);
});

test('every window has the same chance', () => {
  const counts = WINDOWS.map(() => 0);
  for (let seed = 0; seed < 2000; seed++) for (const place of chooseWindows(WINDOWS, 10, seed)) counts[place]! += 1;
  // 200 are expected, with a standard deviation of 13.4.
  expect(Math.min(...counts)).toBeGreaterThan(140);
  expect(Math.max(...counts)).toBeLessThan(260);
});
