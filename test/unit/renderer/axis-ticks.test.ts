import { describe, expect, it } from 'vitest';
import { linearTicks, logTicks, makeScale } from '../../../renderer/charts/axis-ticks.ts';

describe('axis ticks', () => {
  it('gives round values within the range', () => {
    expect(linearTicks(3.1, 14.2, 6)).toEqual([4, 6, 8, 10, 12, 14]);
    expect(linearTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linearTicks(5, 5, 5)).toEqual([5]);
  });

  it('gives powers of ten, with 2 and 5 where the range is short', () => {
    expect(logTicks(0.001, 0.1)).toEqual([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]);
    expect(logTicks(1e-6, 1)).toEqual([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]);
    expect(logTicks(0, 1)).toEqual([]);
  });

  it('scales in a straight line or by factors', () => {
    expect(makeScale([0, 10], [100, 0], 'linear')(2.5)).toBe(75);
    expect(makeScale([0.01, 1], [0, 200], 'log')(0.1)).toBeCloseTo(100, 9);
  });
});
