import type { Demand } from './resource-pool.ts';

/** What a task leaves behind in the journal: plain JSON. */
export type TaskRecord = Record<string, unknown>;

/** The records of finished tasks, by key. */
export type TaskRecords = ReadonlyMap<string, TaskRecord>;

/** What a task is given to run with. */
export interface TaskTools {
  /** To be used, and no more; no result depends on how many. */
  threads: number;
  signal: AbortSignal;
  /** Of the tasks that it needs, at least. */
  records: TaskRecords;
}

/**
 * A piece of a job that can be done, and done again, by itself: it reads its inputs and the records of the tasks that it
 * needs, and nothing else; it writes only what is its own. A run that was killed does it anew, to the same bytes.
 */
export interface Task {
  /** Unique within the job and the same in every run of the same plan. */
  key: string;
  /** For people: such as `compress`. */
  stage: string;
  /** For people: what is being done. */
  label: string;
  /** Keys of tasks that must have ended before. */
  needs: readonly string[];
  demand: Demand;
  /** In the unit of the job's progress: bytes or tokens, each pass counted. */
  work: number;
  /** Does the work, and returns when its bytes are on the disk. */
  run(tools: TaskTools): Promise<TaskRecord>;
  /** Whether the output still holds what this record says (after a crash). Reads, never writes. */
  holds(record: TaskRecord, tools: TaskTools): Promise<boolean>;
}
