import type { SerializedError } from '../../core/errors.ts';
import type { Engine, JobOptions } from '../../workers/engine/index.ts';

/** What a command is given. */
export interface CommandContext {
  /** Loads the engine at the first call. */
  engine: () => Promise<Engine>;
  job: JobOptions;
  /** As they were typed, to say what to type next. */
  argv: readonly string[];
}

/** What a command has to say at its end. */
export interface CommandOutcome {
  /** The document of `--json`. */
  document: object;
  /** The same for people, in lines. Made only where it is asked for. */
  summary: () => string[];
  /** Whole sentences that stand in the document; for people they go to stderr. */
  notes: readonly string[];
  /** A failure that does not keep the document from being printed: it stands in it, and decides the exit code. */
  error?: SerializedError | undefined;
}
