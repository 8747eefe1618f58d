import { describe, expect, it } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import { kernels } from './kernels-fixture.ts';

describe('statistics of inputs', () => {
  it('add rows up by columns, in whatever pieces they come', () => {
    const statistics = kernels.createInputStatistics(2, false);
    statistics.feed(Float32Array.of(1, -2, 3, 4), 1);
    statistics.feed(Float32Array.of(-5, 0.5), 2);
    expect(statistics.columns()).toEqual({
      rows: 3,
      sums: Float64Array.of(-1, 2.5),
      squares: Float64Array.of(35, 20.25),
      greatest: Float32Array.of(5, 4),
    });
    statistics.close();
  });

  it('free their memory when they are closed, not when they are collected', () => {
    const before = process.memoryUsage().rss;
    // 32 MiB each, 1.6 GiB together.
    for (let round = 0; round < 50; round++) {
      const statistics = kernels.createInputStatistics(2048, true);
      statistics.feed(new Float32Array(4 * 2048).fill(1), 1);
      statistics.close();
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
  });

  it('refuse to be used after they were closed', async () => {
    const statistics = kernels.createInputStatistics(2, true);
    statistics.close();
    expect(await errorOf(() => statistics.feed(Float32Array.of(1, 2), 1))).toMatchObject({
      code: 'BUG_KERNEL_ARGUMENT',
    });
    expect(await errorOf(() => statistics.columns())).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
  });
});
