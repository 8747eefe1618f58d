/** A line of a run's log: one structured format, for the file beside the journal and for `--verbose`. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogLine {
  /** ISO 8601, UTC. */
  time: string;
  level: LogLevel;
  /** Of the job; empty before its first. */
  stage: string;
  message: string;
  /** Numbers and names: never what stands in a user's text. */
  data?: Record<string, unknown> | undefined;
}
