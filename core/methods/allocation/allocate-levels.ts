import { UsageError } from '../../errors.ts';

/** One way to store a layer. */
export interface LayerLevel {
  /** Whole units of whatever is limited (bits, bytes): 0 or more, at most 2^53. */
  cost: number;
  /** What it costs in quality: any finite number; errors of layers add up. */
  error: number;
}

export interface Allocation {
  /** The chosen level of each layer. */
  levels: number[];
  cost: number;
  error: number;
  /** False where costs had to be rounded up to a coarser unit: then another choice within the budget may be better. */
  isExact: boolean;
}

/** Cells of the table, each of a byte and, in two rows, of eight: layers times cells stay below half a gigabyte. */
const MAX_CELLS = 400_000_000;

/**
 * Chooses a level for each layer so that the costs fit a budget and the sum of errors is least: of equal sums the cheapest.
 *
 * Source: dynamic programming over the budget (multiple-choice knapsack), in units of the greatest common divisor of all
 * differences of cost: exact, for curves of any shape. Where even so there are too many units, costs are rounded up, which
 * never exceeds the budget.
 * @param layers levels of each layer, in any order; at most 255 a layer
 * @param maxCells of the table: beyond them costs are rounded
 * @throws UsageError ALLOCATION_BUDGET_TOO_SMALL with the least budget
 * Cost: layers x levels x units of the budget in time; layers x units in bytes.
 */
export function allocateLevels(
  layers: readonly (readonly LayerLevel[])[],
  budget: number,
  maxCells = MAX_CELLS,
): Allocation {
  const curves = layers.map(usefulLevels);
  const least = curves.reduce((sum, curve) => sum + (curve[0]?.cost ?? 0), 0);
  if (least > budget) throw tooSmall(budget, least);
  const most = curves.reduce((sum, curve) => sum + (curve[curve.length - 1]?.cost ?? 0), 0);
  const room = Math.min(budget, most) - least;
  const divisor = curves.reduce((common, curve) => {
    return curve.reduce((inner, { cost }) => greatestDivisor(inner, cost - (curve[0]?.cost ?? 0)), common);
  }, 0);
  const exactUnit = Math.max(1, divisor);
  const cellsAllowed = Math.max(1, Math.floor(maxCells / Math.max(1, curves.length)));
  const unit = Math.floor(room / exactUnit) < cellsAllowed ? exactUnit : Math.ceil(room / (cellsAllowed - 1));
  const chosen = walkTable(curves, Math.floor(room / unit) + 1, unit);
  return {
    levels: chosen.map((place, layer) => curves[layer]?.[place]?.index ?? 0),
    cost: sumOf(chosen, curves, ({ cost }) => cost),
    error: sumOf(chosen, curves, ({ error }) => error),
    isExact: unit === exactUnit,
  };
}

interface UsefulLevel extends LayerLevel {
  /** In the layer as it was given. */
  index: number;
}

/** Levels than which no other is both cheaper and better, the cheapest first. */
function usefulLevels(levels: readonly LayerLevel[]): UsefulLevel[] {
  const sorted = levels.map((level, index) => ({ ...level, index }));
  sorted.sort((one, other) => one.cost - other.cost || one.error - other.error || one.index - other.index);
  const useful: UsefulLevel[] = [];
  for (const level of sorted) {
    const last = useful[useful.length - 1];
    if (last === undefined || level.error < last.error) useful.push(level);
  }
  return useful;
}

/** The chosen level of each curve. */
function walkTable(curves: readonly UsefulLevel[][], cells: number, unit: number): number[] {
  let best = new Float64Array(cells).fill(Infinity);
  let next = new Float64Array(cells);
  best[0] = 0;
  const choices = curves.map((curve) => {
    const choice = new Uint8Array(cells);
    const base = curve[0]?.cost ?? 0;
    next.fill(Infinity);
    for (const [place, { cost, error }] of curve.entries()) {
      const step = Math.ceil((cost - base) / unit);
      for (let cell = step; cell < cells; cell++) {
        const sum = (best[cell - step] ?? Infinity) + error;
        if (sum >= (next[cell] ?? 0)) continue;
        next[cell] = sum;
        choice[cell] = place;
      }
    }
    [best, next] = [next, best];
    return choice;
  });
  let cell = 0;
  for (let at = 1; at < cells; at++) if ((best[at] ?? Infinity) < (best[cell] ?? Infinity)) cell = at;
  const chosen: number[] = [];
  for (let layer = curves.length - 1; layer >= 0; layer--) {
    const place = choices[layer]?.[cell] ?? 0;
    const curve = curves[layer] ?? [];
    chosen.push(place);
    cell -= Math.ceil(((curve[place]?.cost ?? 0) - (curve[0]?.cost ?? 0)) / unit);
  }
  return chosen.reverse();
}

function sumOf(
  chosen: readonly number[],
  curves: readonly UsefulLevel[][],
  valueOf: (level: UsefulLevel) => number,
): number {
  return chosen.reduce((sum, place, layer) => {
    const level = curves[layer]?.[place];
    return level === undefined ? sum : sum + valueOf(level);
  }, 0);
}

function greatestDivisor(one: number, other: number): number {
  while (other !== 0) [one, other] = [other, one % other];
  return one;
}

function tooSmall(budget: number, least: number): UsageError {
  return new UsageError({
    code: 'ALLOCATION_BUDGET_TOO_SMALL',
    what: `The budget is ${budget}, but the smallest level of every layer together costs ${least}.`,
    whatToDo: 'Allow more, or offer smaller levels.',
  });
}
