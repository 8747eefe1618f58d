import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateLevels, type LayerLevel } from '../../../../../core/methods/allocation/allocate-levels.ts';

function layer(costs: string, errors: string): LayerLevel[] {
  const found = errors.split(' ').map(Number);
  return costs.split(' ').map((cost, index) => ({ cost: Number(cost), error: found[index]! }));
}

/** Five layers of six levels; curves are not convex, three levels are dominated. */
const LAYERS = [
  layer('0 3 5 8 9 12', '97 61 58 22 25 3'),
  layer('0 2 5 6 9 11', '80 71 33 30 12 13'),
  layer('0 4 7 9 13 14', '120 74 70 41 9 4'),
  layer('0 3 4 8 10 13', '66 40 44 35 11 1'),
  layer('0 5 6 10 11 15', '140 90 55 52 21 6'),
];

const OPTIMA: [budget: number, error: number, cost: number, levels: number[]][] = [
  [0, 503, 0, [0, 0, 0, 0, 0]],
  [10, 372, 10, [0, 0, 1, 0, 2]],
  [17, 309, 17, [1, 2, 0, 1, 2]],
  [20, 286, 19, [1, 3, 1, 0, 2]],
  [24, 247, 24, [3, 3, 1, 0, 2]],
  [30, 198, 30, [1, 2, 4, 1, 2]],
  [40, 125, 40, [3, 2, 4, 1, 4]],
  [50, 80, 49, [5, 4, 5, 1, 4]],
  [64, 26, 63, [5, 4, 5, 5, 5]],
  [65, 26, 63, [5, 4, 5, 5, 5]],
];

/** Every choice there is; of equal errors the cheapest. */
function bruteForce(layers: readonly LayerLevel[][], budget: number): { cost: number; error: number } | null {
  let best: { cost: number; error: number } | null = null;
  function walk(index: number, cost: number, error: number): void {
    if (cost > budget) return;
    const levels = layers[index];
    if (levels === undefined) {
      if (best === null || error < best.error || (error === best.error && cost < best.cost)) best = { cost, error };
      return;
    }
    for (const level of levels) walk(index + 1, cost + level.cost, error + level.error);
  }
  walk(0, 0, 0);
  return best;
}

describe('allocateLevels', () => {
  it.each(OPTIMA)('finds the optimum at a budget of %i', (budget, error, cost, levels) => {
    expect(allocateLevels(LAYERS, budget)).toEqual({ levels, cost, error, isExact: true });
  });

  it('finds the same where all costs have a common divisor', () => {
    const scaled = LAYERS.map((levels) => levels.map(({ cost, error }) => ({ cost: 65_536 * cost, error })));
    for (const [budget, error, cost, levels] of OPTIMA) {
      expect(allocateLevels(scaled, 65_536 * budget + 65_535)).toEqual({
        levels,
        cost: 65_536 * cost,
        error,
        isExact: true,
      });
    }
  });

  // Bits to a weight of four groups of a block, with the loss of each alone.
  it.each([
    [2.5, [3, 2, 2, 3], 2.9],
    [3, [3, 3, 3, 3], 1.14],
    [3.25, [3, 3, 3, 4], 0.76],
    [3.5, [4, 3, 3, 4], 0.61],
    [4.5, [4, 8, 4, 4], 0.23],
  ])('finds the bits of the worked example at %d bits a weight', (average, bits, error) => {
    const sizes = [200, 50, 400, 200];
    const losses = ['0.9 0.2 0.05 0', '0.6 0.14 0.04 0', '1.6 0.3 0.06 0', '1.9 0.5 0.12 0.01'];
    const widths = [2, 3, 4, 8];
    const layers = losses.map((text, index) => {
      return layer(widths.map((width) => width * sizes[index]!).join(' '), text);
    });
    const found = allocateLevels(layers, 850 * average);
    expect(found.levels.map((level) => widths[level])).toEqual(bits);
    expect(found.error).toBeCloseTo(error, 12);
  });

  it('refuses a budget below the cheapest levels, and says what the least is', () => {
    const dearer = LAYERS.map((levels) => levels.map(({ cost, error }) => ({ cost: cost + 1, error })));
    expect(() => allocateLevels(dearer, 4)).toThrow(expect.objectContaining({ code: 'ALLOCATION_BUDGET_TOO_SMALL' }));
    expect(() => allocateLevels(dearer, 4)).toThrow(/costs 5/);
    expect(allocateLevels(dearer, 5).levels).toEqual([0, 0, 0, 0, 0]);
  });

  it('equals brute force on any small instance', () => {
    const level = fc.record({ cost: fc.integer({ min: 0, max: 30 }), error: fc.integer({ min: -5, max: 60 }) });
    const layers = fc.array(fc.array(level, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(layers, fc.integer({ min: 0, max: 120 }), fc.integer({ min: 1, max: 9 }), (given, budget, factor) => {
        const expected = bruteForce(given, budget);
        if (expected === null) return;
        const scaled = given.map((levels) => levels.map(({ cost, error }) => ({ cost: factor * cost, error })));
        const { cost, error, levels } = allocateLevels(scaled, factor * budget);
        expect({ cost, error }).toEqual({ cost: factor * expected.cost, error: expected.error });
        expect(levels.reduce((sum, place, index) => sum + scaled[index]![place]!.cost, 0)).toBe(cost);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps to the budget where it has to work with a coarser unit, and says so', () => {
    const layers = Array.from({ length: 400 }, (_, index) => [
      { cost: 1_000_003 + index, error: 9 },
      { cost: 2_000_029 + 7 * index, error: 4 },
      { cost: 4_100_009 + 11 * index, error: 1 },
    ]);
    const budget = 1_000_000_000;
    const found = allocateLevels(layers, budget, 4_000_000);
    expect(found.isExact).toBe(false);
    expect(found.cost).toBeLessThanOrEqual(budget);
    // The next better level of any layer would no longer fit, by less than the rounding of all layers.
    expect(budget - found.cost).toBeLessThan(2_200_000 + 400 * 62_000);
  });

  it('needs no layers', () => {
    expect(allocateLevels([], 0)).toEqual({ levels: [], cost: 0, error: 0, isExact: true });
  });
});
