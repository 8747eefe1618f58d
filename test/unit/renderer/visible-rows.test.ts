import { describe, expect, it } from 'vitest';
import { MAX_MOUNTED_ROWS, scrollToRow, visibleRows } from '../../../renderer/model/visible-rows.ts';

describe('visibleRows', () => {
  it('mounts few rows of many, wherever one scrolls to and however high the window is', () => {
    for (const view of [200, 800, 5000]) {
      for (const top of [0, 3000, 130_000, 259_000, 1e9]) {
        const { first, last } = visibleRows(10_000, 26, top, view);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(last).toBeLessThanOrEqual(10_000);
        expect(last - first).toBeLessThanOrEqual(MAX_MOUNTED_ROWS);
        expect(last).toBeGreaterThan(first);
      }
    }
  });

  it('covers what is seen', () => {
    const { first, last } = visibleRows(10_000, 26, 26 * 500, 26 * 20);
    expect(first).toBeLessThanOrEqual(500);
    expect(last).toBeGreaterThanOrEqual(520);
  });

  it('mounts all of a short table', () => {
    expect(visibleRows(5, 26, 0, 600)).toEqual({ first: 0, last: 5 });
    expect(visibleRows(0, 26, 0, 600)).toEqual({ first: 0, last: 0 });
  });
});

describe('scrollToRow', () => {
  it('moves as little as it must', () => {
    expect(scrollToRow(5, 20, 0, 200)).toBe(0);
    expect(scrollToRow(10, 20, 0, 200)).toBe(20);
    expect(scrollToRow(3, 20, 100, 200)).toBe(60);
  });
});
