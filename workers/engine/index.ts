/**
 * The engine's front door: every job that a face (command line, window) can start.
 *
 * A call resolves with the result document of `core/contract/results.ts`, or rejects with a `WorkbenchError`. When its
 * signal fires it stops within a fraction of a second: with JOB_INTERRUPTED if the job can be resumed, else with
 * JOB_CANCELLED. Nothing is printed; progress goes to `onEvent`.
 */
import type { OnJobEvent } from '../../core/contract/progress.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type {
  CompressResult,
  DoctorResult,
  EstimateResult,
  InspectResult,
  RestoreResult,
  VerifyResult,
} from '../../core/contract/results.ts';

export interface EngineOptions {
  /** The built `lathe-kernels.node`. */
  kernelsPath: string;
  /** LATHE_HOME: runs and settings. Made when first needed. */
  home: string;
}

/** What every job is given. */
export interface JobOptions {
  /** 1 or more; no result depends on it. */
  threads: number;
  /** Of the whole process; null: none. */
  memoryLimitBytes: number | null;
  signal: AbortSignal;
  onEvent: OnJobEvent;
}

export interface CompressOptions extends JobOptions {
  model: string;
  output: string;
  recipe: Recipe;
  /** Go on with the interrupted run on this output; a plain run if there is none. */
  resume: boolean;
  /** Replace an existing output once the new one is verified; throw an interrupted run away. */
  force: boolean;
}

export interface RestoreOptions extends JobOptions {
  model: string;
  output: string;
  force: boolean;
  /** Null: as the source; the files of a lossless folder have no other. */
  dtype: 'bf16' | 'f16' | 'f32' | null;
  /** Only where files are made anew; null: one file. */
  maxShardBytes: number | null;
}

export interface Engine {
  inspect(options: JobOptions & { model: string; statistics: boolean }): Promise<InspectResult>;
  compress(options: CompressOptions): Promise<CompressResult>;
  restore(options: RestoreOptions): Promise<RestoreResult>;
  verify(options: JobOptions & { model: string; against: string | null }): Promise<VerifyResult>;
  estimate(options: JobOptions & { model: string; recipe: Recipe }): Promise<EstimateResult>;
  /** What is wrong with this machine is in the result, missing kernels included; never rejects. */
  doctor(): Promise<DoctorResult>;
}
