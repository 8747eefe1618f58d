import type { RunFigures } from '../../core/contract/run-figures.ts';
import type { LogLevel, LogLine } from '../../core/contract/log-line.ts';
import type { JobEvent, OnJobEvent } from '../../core/contract/progress.ts';
import { serializeError, WorkbenchError } from '../../core/errors.ts';
import type { RunFolder } from './run-folder.ts';

/** Progress comes ten times a second; a log wants to know about where it stood. */
const PROGRESS_EVERY_MS = 10_000;
/** Beginnings of a stack name the place; a journal's last lines must stay short. */
const MAX_STACK_CHARACTERS = 8 << 10;

/**
 * Keeps what happens in a run: every event goes to the job's listener as before and into the run's log, and stages into its
 * journal. What came before the run had a folder is kept until it has.
 */
export class RunRecorder {
  readonly #listener: OnJobEvent;
  #early: LogLine[] = [];
  #folder: RunFolder | null = null;
  #stage = '';
  #stagesBefore: { stage: string; at: string }[] = [];
  #progressAt = -Infinity;
  readonly #startedAt = performance.now();

  constructor(listener: OnJobEvent) {
    this.#listener = listener;
  }

  /** Given to the job in place of its own listener. */
  readonly onEvent: OnJobEvent = (event) => {
    this.#record(event);
    this.#listener(event);
  };

  /** From now on there is a journal, whose first line is written, and a log. */
  begin(folder: RunFolder): void {
    this.#folder = folder;
    for (const line of this.#early) folder.log.write(line);
    this.#early = [];
    for (const { stage, at } of this.#stagesBefore) folder.journal.note({ type: 'stage', stage, at });
    this.#stagesBefore = [];
  }

  /** What no other event says; `--verbose` shows it too. */
  log(level: LogLevel, message: string, data?: Record<string, unknown>): void {
    const line = this.#write(level, message, data);
    this.#listener({ event: 'log', ...line });
  }

  /** Returns once the journal says that the run came to its end, and to what. */
  async done(figures: RunFigures): Promise<void> {
    this.log('info', 'The run is done.', { seconds: figures.seconds, peakRssBytes: figures.peakRssBytes });
    const { seconds } = figures;
    await this.#folder?.journal.append({ type: 'done', at: now(), seconds, figures });
    await this.#folder?.journal.flush();
  }

  /** Notes how a run ended without coming to its end. A disk that refuses even that leaves one that can be resumed all the same. */
  async failed(error: unknown): Promise<void> {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const isStopped = error instanceof WorkbenchError && error.code === 'JOB_CANCELLED';
    const { stack, ...parts } = serializeError(error);
    if (isStopped) this.log('info', 'The run was stopped.');
    else this.#write('error', parts.what, { ...parts, stack, causes: causesOf(error) });
    const ending = { at: now(), seconds };
    try {
      await this.#folder?.journal.append(
        isStopped
          ? { type: 'interrupted', ...ending }
          : { type: 'failed', ...ending, error: { ...parts, stack: stack?.slice(0, MAX_STACK_CHARACTERS) } },
      );
      await this.#folder?.journal.flush();
    } catch (cause) {
      this.log('warn', `The journal could not be told how the run ended: ${messageOf(cause)}`);
    }
  }

  /**
   * Closes the folder of a run that has come to its end, however that was: everything that must be on the disk is there
   * already, so that what fails now is only told.
   */
  async close(folder: RunFolder | null): Promise<void> {
    this.#folder = null;
    try {
      await folder?.close();
    } catch (error) {
      this.log('warn', `The run's journal could not be closed: ${messageOf(error)}`);
    }
  }

  #record(event: JobEvent): void {
    switch (event.event) {
      case 'stage':
        if (event.stage !== this.#stage) this.#enter(event.stage);
        this.#write('debug', event.detail ?? event.stage);
        return;
      case 'progress': {
        const at = performance.now();
        if (at - this.#progressAt < PROGRESS_EVERY_MS) return;
        this.#progressAt = at;
        const { event: _, stage: _stage, ...data } = event;
        this.#write('debug', 'progress', data);
        return;
      }
      case 'note':
        this.#write('info', event.message);
        return;
      case 'warning':
        this.#write('warn', event.message);
        return;
      case 'job':
      case 'log':
    }
  }

  #enter(stage: string): void {
    this.#stage = stage;
    const line = { stage, at: now() };
    if (this.#folder === null) this.#stagesBefore.push(line);
    else this.#folder.journal.note({ type: 'stage', ...line });
    this.#write('info', `Stage ${stage} begins.`);
  }

  #write(level: LogLevel, message: string, data?: Record<string, unknown>): LogLine {
    const line: LogLine = { time: now(), level, stage: this.#stage, message, data };
    if (this.#folder === null) this.#early.push(line);
    else this.#folder.log.write(line);
    return line;
  }
}

function now(): string {
  return new Date().toISOString();
}

/** Below the error itself; a circle ends. */
function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  const seen = new Set<unknown>([error]);
  for (let at = error instanceof Error ? error.cause : undefined; at !== undefined && !seen.has(at);) {
    seen.add(at);
    causes.push(messageOf(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return causes;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
