import { ResourceError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';
import { formatBytes } from '../../core/units.ts';

/** Node, the program and headers of usual size, measured with room to spare. */
export const BASE_BYTES = 110 << 20;
/** What a tensor's description takes in JavaScript: header entry, plan, record. */
const TENSOR_BYTES = 16 << 10;

/** What a job over so many tensors takes of a pool, however many threads it gets. */
export function jobDemand(kernels: Kernels, threads: number, tensors: number): Demand {
  return { threads, memoryBytes: (count) => TENSOR_BYTES * tensors + kernels.memoryBytes(count) };
}

/** What a job takes of a pool whose whole process was planned: all of it, without what every process takes. */
export function plannedDemand(memory: { peakMemoryBytes: number; limitBytes: number }, threads: number): Demand {
  const bytes = Math.max(0, Math.min(memory.peakMemoryBytes, memory.limitBytes) - BASE_BYTES);
  return { threads, memoryBytes: () => bytes };
}

/** Bound of the whole process's memory in a job over so many tensors, in bytes. */
export function peakMemoryBytes(kernels: Kernels, threads: number, tensors: number): number {
  return BASE_BYTES + TENSOR_BYTES * tensors + kernels.memoryBytes(threads);
}

/**
 * The most threads, up to those asked for, with which a job stays under the limit.
 *
 * @throws ResourceError RESOURCE_MEMORY_LIMIT if one thread is too much
 */
export function fitThreads(kernels: Kernels, threads: number, tensors: number, limitBytes: number | null): number {
  if (limitBytes === null) return threads;
  for (let fewer = threads; fewer > 0; fewer--) {
    if (peakMemoryBytes(kernels, fewer, tensors) <= limitBytes) return fewer;
  }
  const needed = peakMemoryBytes(kernels, 1, tensors);
  throw new ResourceError({
    code: 'RESOURCE_MEMORY_LIMIT',
    what: `The memory limit is ${formatBytes(limitBytes)}, but this job needs up to ${formatBytes(needed)} with one thread.`,
    whatToDo: `Set --memory-limit to ${Math.ceil(needed / (1 << 20))}MiB or more.`,
  });
}
