import { AsyncLocalStorage } from 'node:async_hooks';
import { KernelError } from '../../core/errors.ts';
import { ResourcePool, type Demand, type Lease } from '../../core/scheduling/resource-pool.ts';
import type { JobControl } from '../../core/scheduling/job-queue.ts';
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

/** What the piece of work that runs here holds already. */
const holding = new AsyncLocalStorage<{ pool: ResourcePool; control: JobControl | undefined; lease: Lease }>();

/**
 * Runs a piece of a job that is not one of its tasks, once the pool has room for it.
 *
 * Within another such piece it runs on what that one has: waiting for more while holding some could wait for ever.
 * @throws KernelError BUG_UNEXPECTED where it needs more than the piece around it has
 */
export async function withLease<Result>(
  { scheduling, signal }: JobOptions,
  pool: ResourcePool,
  demand: Demand,
  label: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const control = scheduling?.control;
  const held = holding.getStore();
  if (held?.pool === pool && held.control === control) {
    if (demand.memoryBytes(1) > held.lease.memoryBytes) throw nestedLease(label);
    return work();
  }
  const rank = () => control?.rank() ?? [];
  const lease = await pool.lease({ demand, label, rank, isPaused: control?.isPaused, signal });
  try {
    return await holding.run({ pool, control, lease }, work);
  } finally {
    lease.release();
  }
}

function nestedLease(label: string): KernelError {
  return new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `More memory was asked for (${label}) by a job that holds some already.`,
    whatToDo: 'This is a fault in Lathe: please report it.',
  });
}
