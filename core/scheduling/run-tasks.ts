import { WorkbenchError } from '../errors.ts';
import { stopIfAsked } from '../stop-if-asked.ts';
import type { Rank, ResourcePool } from './resource-pool.ts';
import { TaskGraph } from './task-graph.ts';
import type { Task, TaskRecord, TaskRecords } from './task.ts';

export interface TaskRun {
  pool: ResourcePool;
  /** Of the whole job, before the task's own place. */
  rank?: (() => Rank) | undefined;
  /** While it says so no further task starts. */
  isPaused?: (() => boolean) | undefined;
  signal: AbortSignal;
  /** Of tasks that an earlier run had finished. */
  known: TaskRecords;
  onStart?: (task: Task) => void;
  /** Of a task that was not done again, as its record still holds. */
  onSkip?: (task: Task) => void;
  /** Keeps a record; the task counts as done once it returns. */
  onRecord: (task: Task, record: TaskRecord) => Promise<void>;
  /** Of every task, once it is done or was skipped. */
  onEnd?: (task: Task) => void;
}

/**
 * Runs the tasks of a job, as many at once as the pool has room for, each after those that it needs.
 *
 * @returns all records
 * @throws before any task runs: ResourceError RESOURCE_MEMORY_LIMIT for a task that never fits. Else what the first task
 * that failed threw, once all others have stopped; JobError JOB_CANCELLED when the signal fires
 * Cost: some microseconds a task.
 */
export async function runTasks(tasks: readonly Task[], run: TaskRun): Promise<Map<string, TaskRecord>> {
  const { pool, signal, known, onStart, onSkip, onRecord, onEnd } = run;
  const graph = new TaskGraph(tasks);
  for (const { demand, label } of tasks) pool.sizeOf(demand, label);
  const records = new Map<string, TaskRecord>();
  const failures: unknown[] = [];
  /** One for each task that waits or runs: a signal of its own, so that listeners do not pile up on one. */
  const stops = new Set<AbortController>();
  const running = new Set<Promise<void>>();
  let wake: () => void = () => undefined;

  function stopAll(): void {
    for (const stop of stops) stop.abort();
  }

  async function runOne(task: Task, place: number, taskSignal: AbortSignal): Promise<void> {
    const rank = () => [...(run.rank?.() ?? []), place];
    const { demand, label } = task;
    const lease = await pool.lease({ demand, label, rank, isPaused: run.isPaused, signal: taskSignal });
    try {
      stopIfAsked(taskSignal);
      const tools = { threads: lease.threads, signal: taskSignal, records };
      onStart?.(task);
      const old = known.get(task.key);
      if (old !== undefined && (await task.holds(old, tools))) {
        records.set(task.key, old);
        onSkip?.(task);
      } else {
        const record = await task.run(tools);
        await onRecord(task, record);
        records.set(task.key, record);
      }
      graph.settle(place);
      onEnd?.(task);
    } catch (error) {
      // Before the lease is given back, or another task would start with it.
      failures.push(error);
      stopAll();
    } finally {
      lease.release();
    }
  }

  function start(task: Task, place: number): void {
    const stop = new AbortController();
    stops.add(stop);
    if (signal.aborted) stop.abort();
    const one = runOne(task, place, stop.signal)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        stops.delete(stop);
        running.delete(one);
        wake();
      });
    running.add(one);
  }

  signal.addEventListener('abort', stopAll, { once: true });
  try {
    while (!graph.isDone && failures.length === 0) {
      // One more than can run waits in line, so that no thread is idle between two tasks.
      while (running.size <= pool.limits.threads) {
        const next = graph.take();
        if (next === null) break;
        start(next.task, next.place);
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
    await Promise.all(running);
  } finally {
    signal.removeEventListener('abort', stopAll);
  }
  // Others are stopped by the first failure: what they then throw says nothing.
  if (failures.length > 0) throw failures.find((error) => !isStop(error)) ?? failures[0];
  return records;
}

function isStop(error: unknown): boolean {
  return error instanceof WorkbenchError && error.code === 'JOB_CANCELLED';
}
