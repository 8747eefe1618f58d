import type { PlannedJob } from '../../core/contract/batch-plan.ts';
import type { OnJobEvent } from '../../core/contract/progress.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { GgufMix } from '../../core/contract/gguf-mixes.ts';
import type { JobControl } from '../../core/scheduling/job-queue.ts';
import type { ResourcePool } from '../../core/scheduling/resource-pool.ts';

/** What jobs of one queue share, and what each of them is told while it runs. */
export interface JobScheduling {
  pool: ResourcePool;
  control: JobControl;
}

/** What every job is given. */
export interface JobOptions {
  /** 1 or more; no result depends on it. */
  threads: number;
  /** Of the whole process; null: none. */
  memoryLimitBytes: number | null;
  signal: AbortSignal;
  onEvent: OnJobEvent;
  /** For a job of a queue; without it the job has its threads and memory for itself. */
  scheduling?: JobScheduling | undefined;
}

export interface InspectOptions extends JobOptions {
  model: string;
  /** Reads every weight. */
  statistics: boolean;
  /** Texts that the model is to be shown; null or left out: none. */
  inputs?: Pick<CalibrateOptions, 'texts' | 'sequences' | 'sequenceLength' | 'seed'> | null;
}

export interface CompressOptions extends JobOptions {
  model: string;
  output: string;
  recipe: Recipe;
  /** What the recipe's paths are relative to; left out: the current folder. */
  recipeFolder?: string | undefined;
  /** Go on with the interrupted run on this output; a plain run if there is none. */
  resume: boolean;
  /** Replace an existing output once the new one is verified; throw an interrupted run away. */
  force: boolean;
  /** Go on with this interrupted run, or not at all. */
  runId?: string | undefined;
}

export interface BatchOptions extends JobOptions {
  name: string | null;
  jobs: readonly PlannedJob[];
  /** Jobs at once, 1 or more. */
  concurrency: number;
  /** Replace outputs that are not those of this batch. */
  force: boolean;
}

export interface ExportGgufOptions extends JobOptions {
  model: string;
  /** The file to write. */
  output: string;
  /** Null: the types that a recipe gave the tensors of a quantized folder. */
  type: GgufMix | null;
  /** What the model is shown first; null: nothing, all columns count alike. */
  calibration: Pick<CalibrateOptions, 'texts' | 'sequences' | 'sequenceLength' | 'seed'> | null;
  /** An importance matrix of llama.cpp's, in place of a calibration; null: none. */
  imatrix: string | null;
  /** Rounding to nearest, or with error feedback from column to column, which needs a calibration. */
  method: 'rtn' | 'gptq';
  /** Without a tokenizer llama.cpp does not load the file. */
  hasTokenizer: boolean;
  /** Replace an existing file. */
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
  /** What the recipe's paths are relative to; left out: the current folder. */
  recipeFolder?: string | undefined;
  /** For a dry run: where the run would write, checked as the run would check it; null: nowhere. */
  output: { path: string; force: boolean } | null;
}

export interface ExplainOptions extends JobOptions {
  model: string;
  recipe: Recipe;
  /** A name, or a pattern that names are searched for; null: all tensors. */
  tensor: string | null;
}

export interface CalibrateOptions extends JobOptions {
  model: string;
  /** Text files, one or more. */
  texts: readonly string[];
  /** Windows that are chosen from the texts, 1 or more. */
  sequences: number;
  /** Tokens of each, 2 or more. */
  sequenceLength: number;
  /** Decides which, 0 or more. */
  seed: number;
  /** Also Gram matrices: columns² numbers for each input. */
  gram: boolean;
}

export interface EvaluateOptions extends JobOptions {
  model: string;
  /** Null: the model alone. */
  reference: string | null;
  /** Text files; may be empty where there are choices. */
  texts: readonly string[];
  /** A choices file. */
  choices: string | null;
  /** Tokens of a window; 2 or more. */
  context: number;
  /** Keeps the first so many ids of each text; null: all. */
  limitTokens: number | null;
  /** Where the figures of every token go; null: nowhere. */
  tokensOut: string | null;
  /** Seed of the noise floor; null: none. Only with a reference. */
  noiseFloorSeed: number | null;
  /** Go on with the interrupted evaluation of the same arguments; a plain run if there is none. */
  resume: boolean;
  /** Replace an existing `tokensOut`. */
  force: boolean;
  /** Go on with this interrupted run, or not at all. */
  runId?: string | undefined;
  /** How files were named when that run began, by their absolute paths: results and the tokens' file tell these names. */
  names?: ReadonlyMap<string, string> | undefined;
}
