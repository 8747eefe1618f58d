/** What the arguments ask for, once they are parsed and checked: one member for each command. */
import type { GgufMix } from '../core/contract/gguf-mixes.ts';

import type { RunState } from '../core/contract/runs-result.ts';

/** Flags that mean the same for every command. */
export interface Flags {
  json: boolean;
  events: boolean;
  quiet: boolean;
  verbose: boolean;
  /** 1 or more; null: as many as the machine has logical processors. */
  threads: number | null;
  memoryLimitBytes: number | null;
}

/** A recipe file, one that ships with the program, or the best that fits into so many bytes. */
export type RecipeChoice = (
  { kind: 'file'; path: string } | { kind: 'preset'; name: string } | { kind: 'fit'; totalBytes: number }
) & {
  /** In place of the recipe's calibration texts; none: as the recipe has it. */
  calibrationTexts: readonly string[];
};

export interface InspectInvocation {
  command: 'inspect';
  model: string;
  statistics: boolean;
  /** Shown to the model; may be empty. */
  texts: readonly string[];
}

export interface CompressInvocation {
  command: 'compress';
  model: string;
  output: string;
  recipe: RecipeChoice;
  resume: boolean;
  force: boolean;
  dryRun: boolean;
}

export interface RunInvocation {
  command: 'run';
  /** The batch file. */
  batch: string;
  force: boolean;
  dryRun: boolean;
}

export interface RestoreInvocation {
  command: 'restore';
  model: string;
  output: string;
  dtype: 'bf16' | 'f16' | 'f32' | null;
  maxShardBytes: number | null;
  force: boolean;
}

export interface ExportInvocation {
  command: 'export';
  model: string;
  output: string;
  /** Null: as a recipe has quantized it. */
  type: GgufMix | null;
  /** Null: without. */
  calibration: CalibrationChoice | null;
  /** In its place; null: none. */
  imatrix: string | null;
  method: 'rtn' | 'gptq';
  hasTokenizer: boolean;
  force: boolean;
}

export interface VerifyInvocation {
  command: 'verify';
  folder: string;
  against: string | null;
}

export interface EstimateInvocation {
  command: 'estimate';
  model: string;
  recipe: RecipeChoice;
}

export interface ExplainInvocation {
  command: 'explain';
  model: string;
  recipe: RecipeChoice;
  /** A pattern that names are searched for; null: all. */
  tensor: string | null;
}

export interface EvaluateInvocation {
  command: 'evaluate';
  model: string;
  reference: string | null;
  texts: readonly string[];
  choices: string | null;
  context: number;
  limitTokens: number | null;
  tokensOut: string | null;
  noiseFloorSeed: number | null;
  resume: boolean;
  force: boolean;
  dryRun: boolean;
}

/** What a model is shown. */
export interface CalibrationChoice {
  /** One or more. */
  texts: readonly string[];
  sequences: number;
  sequenceLength: number;
  seed: number;
}

export interface CalibrateInvocation extends CalibrationChoice {
  command: 'calibrate';
  model: string;
  gram: boolean;
}

export interface CacheShowInvocation {
  command: 'cache-show';
}

export interface CacheClearInvocation {
  command: 'cache-clear';
  dryRun: boolean;
}

export interface ServeInvocation {
  command: 'serve';
  /** 0: any that is free. */
  port: number;
}

export interface DoctorInvocation {
  command: 'doctor';
}

export interface SchemaInvocation {
  command: 'schema';
  kind: string;
}

export interface RunsListInvocation {
  command: 'runs-list';
  /** Null: all. */
  limit: number | null;
  /** Null: in any. */
  state: RunState | null;
}

export interface RunsShowInvocation {
  command: 'runs-show';
  id: string;
}

export interface RunsCompareInvocation {
  command: 'runs-compare';
  /** Two or more. */
  ids: readonly string[];
}

export interface RunsCleanInvocation {
  command: 'runs-clean';
  ids: readonly string[];
  keep: number | null;
  olderThanDays: number | null;
  dryRun: boolean;
}

export interface ResumeInvocation {
  command: 'resume';
  id: string;
}

export type Invocation =
  | InspectInvocation
  | CompressInvocation
  | RunInvocation
  | ExportInvocation
  | RestoreInvocation
  | VerifyInvocation
  | EstimateInvocation
  | ExplainInvocation
  | EvaluateInvocation
  | CalibrateInvocation
  | CacheShowInvocation
  | CacheClearInvocation
  | RunsListInvocation
  | RunsShowInvocation
  | RunsCompareInvocation
  | RunsCleanInvocation
  | ResumeInvocation
  | ServeInvocation
  | DoctorInvocation
  | SchemaInvocation;

/** What is to be done: run a command, or print a text about the program. */
export type Request =
  { kind: 'run'; flags: Flags; invocation: Invocation } | { kind: 'text'; key: 'help' | 'version'; text: string };
