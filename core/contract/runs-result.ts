/**
 * What `lathe runs` answers, as it stands in `--json`.
 *
 * Source: the contract, section 2 ("Commands").
 */
import type { ErrorPlace } from '../errors.ts';
import type { RunFigures } from './run-figures.ts';

/** `interrupted`: it was stopped or killed. A run whose process is gone is never called running. */
export type RunState = 'running' | 'done' | 'failed' | 'interrupted';

export const RUN_STATES: readonly RunState[] = ['running', 'done', 'failed', 'interrupted'];

export interface RunSummary {
  runId: string;
  command: string;
  /** Absolute, as is `output`; null where the run writes none. */
  model: string;
  output: string | null;
  state: RunState;
  /** Whether `lathe resume` goes on with it. */
  resumable: boolean;
  startedAt: string;
  /** Null while it runs, and of a killed one. */
  endedAt: string | null;
  /** Of the process that ended it; null where that is not known. */
  seconds: number | null;
  /** Of a run that came to its end. */
  figures: RunFigures | null;
  error: { code: string; what: string } | null;
}

/** A run whose journal cannot be read, and why. */
export interface UnreadableRun {
  runId: string;
  code: string;
  what: string;
}

export interface RunsListResult {
  schema: 1;
  /** Newest first. */
  runs: RunSummary[];
  unreadable: UnreadableRun[];
  /** Runs that there are beside these, as far as the limit left them out. */
  more: number;
}

/** As the journal keeps it; another version may have had other codes. */
export interface RecordedError {
  code: string;
  what: string;
  where: ErrorPlace;
  whatToDo: string;
  retryable: boolean;
  stack?: string | undefined;
}

export interface RunDetails extends Omit<RunSummary, 'error'> {
  /** Of the program that began it; null where the journal does not tell, as is all that may be null below. */
  version: string;
  host: string | null;
  threads: number | null;
  memoryLimitBytes: number | null;
  /** Every option of its call, defaults filled in. */
  options: Record<string, unknown> | null;
  /** What each evaluated file held. */
  inputs: { path: string; bytes: number; sha256: string }[];
  /** When it went on after an interruption. */
  resumedAt: string[];
  stages: { stage: string; at: string }[];
  /** Items, windows and choices that are done and kept. */
  itemsDone: number;
  /** How many there are in all; null before that is known. */
  items: number | null;
  error: RecordedError | null;
  /** Lines of the journal that cannot be read. */
  damagedLines: number;
  /** Where they lie. */
  journal: string;
  log: string;
}

export interface RunsShowResult {
  schema: 1;
  run: RunDetails;
}

export interface ComparedFigure {
  /** Such as `bitsPerWeight`; of a text, with its name: `perplexity (docs.txt)`. */
  name: string;
  /** One for each run, in their order; null where a run has no such figure. */
  values: (number | null)[];
  /** Whether the values say something about each other. */
  comparable: boolean;
  /** Why not, as the end of a sentence; or what to bear in mind. */
  why: string | null;
}

export interface RunsCompareResult {
  schema: 1;
  runs: RunSummary[];
  figures: ComparedFigure[];
}

export interface RunsCleanResult {
  schema: 1;
  dryRun: boolean;
  /** Newest first. */
  removed: { runId: string; command: string | null; startedAt: string | null; bytes: number }[];
  bytes: number;
  kept: number;
}
