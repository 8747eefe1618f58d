import { ResourcePool, type Demand } from '../../core/scheduling/resource-pool.ts';
import type { JobOptions } from './job-options.ts';
import { BASE_BYTES } from './memory-limit.ts';

/** The pool of a process: its threads, and the memory limit without what the process takes by itself. */
export function openResourcePool(threads: number, memoryLimitBytes: number | null): ResourcePool {
  const memoryBytes = memoryLimitBytes === null ? null : memoryLimitBytes - BASE_BYTES;
  return new ResourcePool({ threads, memoryBytes, besidesBytes: BASE_BYTES });
}

/** The pool that a job draws from: its queue's, or one of its own. */
export function poolOf({ scheduling, threads, memoryLimitBytes }: JobOptions): ResourcePool {
  return scheduling?.pool ?? openResourcePool(threads, memoryLimitBytes);
}

/** Runs a piece of a job that is not one of its tasks, once the pool has room for it. */
export async function withLease<Result>(
  { scheduling, signal }: JobOptions,
  pool: ResourcePool,
  demand: Demand,
  label: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const control = scheduling?.control;
  const rank = () => control?.rank() ?? [];
  const lease = await pool.lease({ demand, label, rank, isPaused: control?.isPaused, signal });
  try {
    return await work();
  } finally {
    lease.release();
  }
}
