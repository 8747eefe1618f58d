import { describe, expect, it } from 'vitest';
import type { Kernels } from '../../../../core/kernels/kernels.ts';
import { fitThreads, peakMemoryBytes } from '../../../../workers/engine/memory-limit.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const MIB = 2 ** 20;
/** Kernels that take 20 MiB and 10 MiB a thread. */
const kernels = { memoryBytes: (threads: number) => (20 + 10 * threads) * MIB } as Kernels;

describe('threads', () => {
  it('are as many as asked for without a limit, or below it', () => {
    expect(fitThreads(kernels, 64, 1000, null)).toBe(64);
    expect(fitThreads(kernels, 4, 0, peakMemoryBytes(kernels, 4, 0))).toBe(4);
  });

  it('are fewer where the limit asks for it', () => {
    expect(fitThreads(kernels, 4, 0, peakMemoryBytes(kernels, 4, 0) - 1)).toBe(3);
    expect(fitThreads(kernels, 64, 0, peakMemoryBytes(kernels, 1, 0))).toBe(1);
  });

  it('are fewer for many tensors', () => {
    const limit = peakMemoryBytes(kernels, 8, 0);
    expect(fitThreads(kernels, 8, 2000, limit)).toBeLessThan(8);
  });

  it('are refused where one is too much, with the limit that would do', async () => {
    const needed = peakMemoryBytes(kernels, 1, 100);
    const error = await errorOf(() => fitThreads(kernels, 8, 100, needed - 1));
    expect(error.code).toBe('RESOURCE_MEMORY_LIMIT');
    const advised = Number(/--memory-limit to (\d+)MiB/.exec(error.whatToDo)?.[1]) * MIB;
    expect(fitThreads(kernels, 8, 100, advised)).toBe(1);
    expect(advised - needed).toBeLessThan(MIB);
  });
});
