/** What a running job tells its face: a documented union that terminal, window and journal share. */

import type { LogLine } from './log-line.ts';

export type JobEvent =
  | { event: 'stage'; stage: string; detail?: string | undefined }
  | {
      event: 'progress';
      stage: string;
      /** 0 to 1, over the whole job; never goes back. */
      fraction: number;
      /** Original bytes worked through, each pass counted, and how many there will be. */
      doneBytes: number;
      totalBytes: number;
      /** Over the last seconds. */
      bytesPerSecond: number;
      /** Seconds to go at that rate; null until a rate is known. */
      etaSeconds: number | null;
    }
  | {
      event: 'progress';
      stage: string;
      /** As above; the work of running a model is counted in tokens. */
      fraction: number;
      doneTokens: number;
      totalTokens: number;
      /** Over the last seconds. */
      tokensPerSecond: number;
      etaSeconds: number | null;
    }
  | {
      event: 'progress';
      stage: string;
      /** As above, over all jobs of a batch, each counted the same. */
      fraction: number;
      doneJobs: number;
      totalJobs: number;
      etaSeconds: number | null;
    }
  /** A job of a batch has started or ended; `message` says why it failed. */
  | { event: 'job'; job: string; status: 'running' | 'done' | 'kept' | 'failed' | 'cancelled'; message?: string }
  /** What goes into the run's log beside the other events; `--verbose` shows it. */
  | ({ event: 'log' } & LogLine)
  | { event: 'note'; message: string }
  | { event: 'warning'; message: string };

export type OnJobEvent = (event: JobEvent) => void;
