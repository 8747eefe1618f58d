import type { BatchedStatus } from '../../core/contract/batch-result.ts';
import type { JobEvent } from '../../core/contract/progress.ts';

/** Of a whole, from which on a time to go is worth telling. */
const MIN_TOLD_FRACTION = 0.01;

/** One progress of many jobs: each job counts the same, as sizes are known only once it has begun. */
export class BatchProgress {
  readonly #fractions: number[];
  readonly #onEvent: (event: JobEvent) => void;
  readonly #startedAt = Date.now();

  constructor(jobs: number, onEvent: (event: JobEvent) => void) {
    this.#fractions = Array.from({ length: jobs }, () => 0);
    this.#onEvent = onEvent;
  }

  start(job: string): void {
    this.#onEvent({ event: 'job', job, status: 'running' });
  }

  end(index: number, job: string, status: BatchedStatus, message: string | undefined): void {
    this.#fractions[index] = 1;
    this.#onEvent({ event: 'job', job, status, ...(message === undefined ? {} : { message }) });
  }

  tell(index: number, job: string, event: JobEvent): void {
    switch (event.event) {
      case 'progress': {
        this.#fractions[index] = event.fraction;
        const doneJobs = this.#fractions.filter((part) => part === 1).length;
        const fraction = this.#fractions.reduce((sum, part) => sum + part, 0) / this.#fractions.length;
        const seconds = (Date.now() - this.#startedAt) / 1000;
        const etaSeconds = fraction > MIN_TOLD_FRACTION ? (seconds / fraction) * (1 - fraction) : null;
        const stage = `${job}: ${event.stage}`;
        this.#onEvent({ event: 'progress', stage, fraction, doneJobs, totalJobs: this.#fractions.length, etaSeconds });
        return;
      }
      case 'stage':
        this.#onEvent({ ...event, stage: `${job}: ${event.stage}` });
        return;
      case 'job':
        return;
      default:
        this.#onEvent({ ...event, message: `${job}: ${event.message}` });
    }
  }
}
