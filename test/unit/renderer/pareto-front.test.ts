import { describe, expect, it } from 'vitest';
import { paretoFront } from '../../../renderer/charts/pareto-front.ts';

describe('paretoFront', () => {
  it('keeps what no other point beats in both costs, by the first cost', () => {
    const points = [
      { x: 4, y: 0.3 },
      { x: 2, y: 0.9 },
      { x: 3, y: 1 },
      { x: 8, y: 0 },
      { x: 4, y: 0.5 },
    ];
    expect(paretoFront(points)).toEqual([
      { x: 2, y: 0.9 },
      { x: 4, y: 0.3 },
      { x: 8, y: 0 },
    ]);
  });

  it('keeps equal points, and of those with one equal cost only the better', () => {
    const twice = { x: 1, y: 1 };
    expect(paretoFront([twice, { ...twice }, { x: 1, y: 2 }, { x: 2, y: 1 }])).toEqual([twice, twice]);
  });

  it('is empty without points', () => {
    expect(paretoFront([])).toEqual([]);
  });
});
