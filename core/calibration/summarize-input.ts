import type { CalibratedInput } from '../contract/calibration-result.ts';
import type { ColumnStatistics } from '../kernels/kernels.ts';

/** How many times the median a column's root mean square is from which on it counts as outlying. */
const OUTLIER_FACTOR = 6;

/** What people want to know of an input: how large it is, and how far its largest columns stand out. */
export function summarizeInput(input: {
  maps: readonly string[];
  columns: number;
  statistics: ColumnStatistics;
}): Pick<CalibratedInput, 'maps' | 'columns' | 'rms' | 'greatest' | 'outlierRatio' | 'outlierColumns'> {
  const { maps, columns, statistics } = input;
  const { rows, squares, greatest } = statistics;
  const ofColumns = squares.map((sum) => Math.sqrt(sum / rows)).sort();
  const middle = columns >> 1;
  const median = ((ofColumns[middle] ?? 0) + (ofColumns[(columns - 1) >> 1] ?? 0)) / 2;
  const largest = ofColumns[columns - 1] ?? 0;
  return {
    maps: [...maps],
    columns,
    rms: Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / (rows * columns)),
    greatest: greatest.reduce((most, value) => Math.max(most, value), 0),
    // A column of zeros in the middle: nothing stands out of nothing.
    outlierRatio: median === 0 ? 0 : largest / median,
    outlierColumns: median === 0 ? 0 : ofColumns.filter((value) => value >= OUTLIER_FACTOR * median).length,
  };
}
