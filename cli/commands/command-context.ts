import type { SerializedError } from '../../core/errors.ts';
import type { Engine, JobOptions } from '../../workers/engine/index.ts';

/** What `lathe serve` needs of its surroundings. */
export interface ServingContext {
  home: string;
  userFolder: string;
  examplesFolder: string | null;
  rendererFolder: string;
  /** As flags give them; null: they do not. */
  threads: number | null;
  memoryLimitBytes: number | null;
  logicalProcessors: number;
  /** Prints now what other commands print at their end: the document with `--json`, else the line. */
  announce: (document: object, line: string) => void;
}

/** What a command is given. */
export interface CommandContext {
  /** Loads the engine at the first call. */
  engine: () => Promise<Engine>;
  job: JobOptions;
  /** As they were typed, to say what to type next. */
  argv: readonly string[];
  serving: ServingContext;
}

/** What a command has to say at its end. */
export interface CommandOutcome {
  /** The document of `--json`; null where all was printed before. */
  document: object | null;
  /** The same for people, in lines. Made only where it is asked for. */
  summary: () => string[];
  /** Whole sentences that stand in the document; for people they go to stderr. */
  notes: readonly string[];
  /** A failure that does not keep the document from being printed: it stands in it, and decides the exit code. */
  error?: SerializedError | undefined;
}
