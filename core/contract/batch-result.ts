/** The result document of `lathe run`. */
import type { SerializedError } from '../errors.ts';

/** `kept`: the output of the same model and recipe was there already, and is sound. */
export type BatchedStatus = 'done' | 'kept' | 'failed' | 'cancelled';

export interface BatchedJob {
  /** `<model folder>/<recipe>`, as the output is called within the batch's. */
  name: string;
  model: string;
  /** The recipe's file. */
  recipe: string;
  /** Absolute. */
  output: string;
  status: BatchedStatus;
  /** Null where no run was begun. */
  runId: string | null;
  /** How often it was tried: above 1 after failures that another try may mend. */
  attempts: number;
  seconds: number;
  /** Null unless the output is there. */
  storedBytes: number | null;
  bitsPerWeight: number | null;
  /** Of a job that failed. */
  error?: Omit<SerializedError, 'stack'>;
}

export interface BatchResult {
  schema: 1;
  name: string | null;
  /** In the batch's order: all recipes of the first model, then of the next. */
  jobs: BatchedJob[];
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
}
