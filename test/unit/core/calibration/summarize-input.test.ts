import { expect, test } from 'vitest';
import { summarizeInput } from '../../../../core/calibration/summarize-input.ts';

function summarize(columnRms: readonly number[], rows = 4) {
  return summarizeInput({
    maps: ['q_proj'],
    columns: columnRms.length,
    statistics: {
      rows,
      sums: new Float64Array(columnRms.length),
      squares: Float64Array.from(columnRms, (rms) => rows * rms * rms),
      greatest: Float32Array.from(columnRms, (rms) => 2 * rms),
    },
  });
}

test('an outlying column stands out of the median', () => {
  const summary = summarize([1, 1, 2, 12, 1]);
  expect(summary).toMatchObject({ maps: ['q_proj'], columns: 5, greatest: 24, outlierRatio: 12, outlierColumns: 1 });
  expect(summary.rms).toBeCloseTo(Math.sqrt((3 + 4 + 144) / 5), 12);
});

test('the median of an even number of columns lies in the middle', () => {
  expect(summarize([1, 3, 100, 2]).outlierRatio).toBeCloseTo(40, 12);
});

test('nothing stands out of nothing', () => {
  expect(summarize([0, 0, 5])).toMatchObject({ outlierRatio: 0, outlierColumns: 0 });
});
