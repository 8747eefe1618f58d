import type { OnJobEvent } from '../../core/contract/progress.ts';
import type { Recipe } from '../../core/contract/recipe.ts';

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

export interface EstimateOptions extends JobOptions {
  model: string;
  recipe: Recipe;
  /** For a dry run: where the run would write, checked as the run would check it; null: nowhere. */
  output: { path: string; force: boolean } | null;
}
