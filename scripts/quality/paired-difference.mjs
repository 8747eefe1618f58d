/** Whether one model is nearer to the original than another, on the same windows. */

/** Two-sided, normal: windows are many. */
const QUANTILE_95 = 1.96;

/** @returns mean of one minus other, and the half width of its 95 % interval */
export function pairedDifference(one, other) {
  const differences = one.map((value, index) => value - other[index]);
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardError = Math.sqrt(squares / (differences.length - 1) / differences.length);
  return { mean, half: QUANTILE_95 * standardError };
}

export function formatDifference({ mean, half }) {
  return `${mean.toExponential(2)} ± ${half.toExponential(1)}`;
}

/** Whether the whole interval lies above zero, where below it was meant to be. */
export function isWorse({ mean, half }) {
  return mean - half > 0;
}
