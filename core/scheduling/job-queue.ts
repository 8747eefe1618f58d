import { JobError, WorkbenchError } from '../errors.ts';
import { stopped } from '../stop-if-asked.ts';
import type { Rank } from './resource-pool.ts';

export type JobStatus = 'waiting' | 'running' | 'paused' | 'done' | 'failed' | 'cancelled';

/** What a queued job looks at while it runs. */
export interface JobControl {
  signal: AbortSignal;
  /** Its place among the jobs, as it is now. */
  rank: () => Rank;
  isPaused: () => boolean;
  /** Between pieces of work: at once, or when a pause is over; JobError JOB_CANCELLED once the job is to stop. */
  whenGoing: () => Promise<void>;
}

export interface JobRequest<Result> {
  id: string;
  /** For people. */
  label: string;
  /** Higher first; jobs of one priority in the order in which they stand. */
  priority: number;
  start: (control: JobControl) => Promise<Result>;
}

/** A job as faces see it: plain data. */
export interface JobView {
  id: string;
  label: string;
  priority: number;
  status: JobStatus;
  /** Of a job that failed. */
  error: unknown;
}

interface Entry {
  view: JobView;
  controller: AbortController;
  begin: (() => void) | null;
  /** Those that wait for a pause to end. */
  resumed: (() => void)[];
}

/**
 * The jobs of an engine: so many run at once, the others wait in line. A paused job gives its place to the next one, and
 * takes one again when it is resumed.
 */
export class JobQueue {
  readonly #concurrency: number;
  readonly #onChange: () => void;
  #entries: Entry[] = [];

  /**
   * @param concurrency jobs at once, 1 or more
   * @param onChange called after every change of any job: its status, its priority, its place
   */
  constructor(concurrency: number, onChange: () => void = () => undefined) {
    this.#concurrency = concurrency;
    this.#onChange = onChange;
  }

  /** All jobs that have not been removed, in their order. */
  list(): JobView[] {
    return this.#entries.map(({ view }) => ({ ...view }));
  }

  /**
   * Puts a job in line.
   *
   * @returns what the job returns, once it has run
   * @throws what the job throws; JobError JOB_CANCELLED if it is cancelled before it starts
   */
  async add<Result>({ id, label, priority, start }: JobRequest<Result>): Promise<Result> {
    const view: JobView = { id, label, priority, status: 'waiting', error: null };
    const entry: Entry = { view, controller: new AbortController(), begin: null, resumed: [] };
    this.#entries.push(entry);
    const turn = new Promise<void>((resolve) => (entry.begin = resolve));
    this.#changed();
    await turn;
    const { signal } = entry.controller;
    try {
      if (signal.aborted) throw stopped(id);
      const result = await start({
        signal,
        rank: () => [-view.priority, this.#entries.indexOf(entry)],
        isPaused: () => view.status !== 'running',
        whenGoing: () => this.#whenGoing(entry),
      });
      view.status = 'done';
      return result;
    } catch (error) {
      const isStopped =
        signal.aborted && error instanceof WorkbenchError && /^JOB_(CANCELLED|INTERRUPTED)$/.test(error.code);
      view.status = isStopped ? 'cancelled' : 'failed';
      view.error = isStopped ? null : error;
      throw error;
    } finally {
      this.#changed();
    }
  }

  /** Stops a job at its next piece of work; its place goes to the next job in line. Nothing for one that has ended. */
  pause(id: string): void {
    const { view } = this.#find(id);
    if (view.status === 'running' || view.status === 'waiting') this.#set(view, 'paused');
  }

  /** Puts a paused job back in line. */
  resume(id: string): void {
    const { view } = this.#find(id);
    if (view.status === 'paused') this.#set(view, 'waiting');
  }

  /** Stops a job for good, wherever it is. */
  cancel(id: string): void {
    const entry = this.#find(id);
    if (isEnded(entry.view)) return;
    entry.controller.abort();
    entry.begin?.();
    entry.begin = null;
    this.#wake(entry);
  }

  setPriority(id: string, priority: number): void {
    this.#find(id).view.priority = priority;
    this.#changed();
  }

  /** Moves a job to stand right before another one, or last. */
  move(id: string, before: string | null): void {
    const entry = this.#find(id);
    const others = this.#entries.filter((other) => other !== entry);
    const at = before === null ? others.length : others.indexOf(this.#find(before));
    others.splice(at < 0 ? others.length : at, 0, entry);
    this.#entries = others;
    this.#changed();
  }

  /** Forgets a job that has ended. */
  remove(id: string): void {
    const entry = this.#find(id);
    if (!isEnded(entry.view)) return;
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#changed();
  }

  #find(id: string): Entry {
    const entry = this.#entries.find(({ view }) => view.id === id);
    if (entry !== undefined) return entry;
    throw new JobError({
      code: 'JOB_UNKNOWN',
      what: `There is no job "${id}" here.`,
      where: { job: id },
      whatToDo: 'Ask for the list of jobs.',
    });
  }

  async #whenGoing(entry: Entry): Promise<void> {
    const { view, controller } = entry;
    while (view.status !== 'running' && !controller.signal.aborted) {
      await new Promise<void>((resolve) => entry.resumed.push(resolve));
    }
    if (controller.signal.aborted) throw stopped(view.id);
  }

  #set(view: JobView, status: JobStatus): void {
    view.status = status;
    this.#changed();
  }

  /** Gives free places to those first in line, then tells. */
  #changed(): void {
    const running = this.#entries.filter(({ view }) => view.status === 'running').length;
    const waiting = this.#entries.filter(({ view }) => view.status === 'waiting');
    // The sort is stable: jobs of one priority keep their order.
    waiting.sort((one, other) => other.view.priority - one.view.priority);
    for (const entry of waiting.slice(0, Math.max(0, this.#concurrency - running))) {
      entry.view.status = 'running';
      entry.begin?.();
      entry.begin = null;
      this.#wake(entry);
    }
    this.#onChange();
  }

  #wake(entry: Entry): void {
    for (const resume of entry.resumed.splice(0)) resume();
  }
}

function isEnded({ status }: JobView): boolean {
  return status === 'done' || status === 'failed' || status === 'cancelled';
}
