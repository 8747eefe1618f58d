import type { JobEvent } from '../../core/contract/progress.ts';
import { formatCount, formatSeconds } from '../../core/units.ts';
import type { OutputStream } from '../surroundings.ts';
import { escapeLine, toSafeJson } from './escape-text.ts';
import type { Style } from './style.ts';

/** A terminal's line is rewritten at most so often: faster only flickers. */
const MIN_REDRAW_MS = 100;
/** A log file gets a line at each stage, and one so often in between. */
const PLAIN_INTERVAL_MS = 10_000;
const BAR_WIDTH = 20;
/** Assumed where a terminal does not tell, or says 0. */
const DEFAULT_COLUMNS = 80;

const CLEAR_LINE = '\r\u001b[2K';

/**
 * How progress is shown: `line` rewrites one line of a terminal, `plain` writes whole lines, `ndjson` streams every event
 * as JSON, `none` shows none.
 */
export type ProgressMode = 'line' | 'plain' | 'ndjson' | 'none';

export interface ProgressOptions {
  stderr: OutputStream;
  mode: ProgressMode;
  /** Whether `note` events are shown; warnings always are. */
  showsNotes: boolean;
  /** Whether what goes into a run's log beside other events is shown too. */
  showsLog: boolean;
  style: Style;
  now: () => number;
}

/** Everything that goes to stderr while a job runs; one place, so that a line under way is cleared first. */
export class ProgressView {
  private readonly options: ProgressOptions;
  private readonly shownMessages = new Set<string>();
  private lastDrawnAt = -Infinity;
  private isLineShown = false;
  private stage = '';

  constructor(options: ProgressOptions) {
    this.options = options;
  }

  /** Given to the engine. */
  onEvent(event: JobEvent): void {
    if (event.event === 'log' && !this.options.showsLog) return;
    if (this.writeEvent(event)) {
      if (event.event === 'note') this.shownMessages.add(event.message);
      return;
    }
    switch (event.event) {
      case 'stage':
        this.showStage(event.stage, event.detail);
        return;
      case 'progress':
        this.showProgress(event);
        return;
      case 'job':
        if (this.options.mode === 'line' || this.options.mode === 'plain') this.writeLine(formatJob(event));
        return;
      case 'log':
        this.writeLine(formatLog(event));
        return;
      case 'note':
        this.showNote(event.message);
        return;
      case 'warning':
        if (this.isNew(event.message)) {
          this.writeLine(`${this.options.style.yellow('warning:')} ${escapeLine(event.message)}`);
        }
    }
  }

  /** A whole sentence for the user, once, if notes are shown. */
  showNote(message: string): void {
    if (!this.options.showsNotes || !this.isNew(message)) return;
    if (!this.writeEvent({ event: 'note', message })) this.writeLine(`note: ${escapeLine(message)}`);
  }

  /** Writes lines between those of the progress. */
  writeLine(text: string): void {
    this.clear();
    this.options.stderr.write(`${text}\n`);
  }

  /** Streams one object, and says whether that is how events are shown at all. */
  writeEvent(event: object): boolean {
    if (this.options.mode !== 'ndjson') return false;
    this.options.stderr.write(`${toSafeJson(event)}\n`);
    return true;
  }

  /** Takes a terminal's progress line away, so that nothing of it stays. */
  clear(): void {
    if (this.isLineShown) this.options.stderr.write(CLEAR_LINE);
    this.isLineShown = false;
  }

  private isNew(message: string): boolean {
    if (this.shownMessages.has(message)) return false;
    this.shownMessages.add(message);
    return true;
  }

  private showStage(stage: string, detail: string | undefined): void {
    const text = detail === undefined || detail === '' ? stage : `${stage}: ${detail}`;
    if (this.options.mode === 'line') {
      this.stage = stage;
      if (this.isDue(MIN_REDRAW_MS)) this.draw(text);
      return;
    }
    // Details change with every file; a log wants the stages alone.
    if (stage === this.stage) return;
    this.stage = stage;
    if (this.options.mode !== 'plain') return;
    this.lastDrawnAt = this.options.now();
    this.options.stderr.write(`lathe: ${escapeLine(text)}\n`);
  }

  private showProgress(event: JobEvent & { event: 'progress' }): void {
    if (this.options.mode === 'line' && this.isDue(MIN_REDRAW_MS)) this.draw(formatBarLine(event));
    if (this.options.mode === 'plain' && this.isDue(PLAIN_INTERVAL_MS)) {
      this.lastDrawnAt = this.options.now();
      this.options.stderr.write(`lathe: ${escapeLine(formatProgress(event))}\n`);
    }
  }

  private isDue(intervalMs: number): boolean {
    return this.options.now() - this.lastDrawnAt >= intervalMs;
  }

  private draw(text: string): void {
    this.lastDrawnAt = this.options.now();
    // A line that wraps cannot be taken back.
    const columns = Math.max(1, (this.options.stderr.columns || DEFAULT_COLUMNS) - 1);
    this.options.stderr.write(`${CLEAR_LINE}${[...escapeLine(text)].slice(0, columns).join('')}`);
    this.isLineShown = true;
  }
}

function formatProgress(event: JobEvent & { event: 'progress' }): string {
  const { stage, fraction, etaSeconds } = event;
  const parts = [`${Math.floor(100 * fraction)} %`];
  const rate = formatRate(event);
  if (rate !== null) parts.push(rate);
  if (etaSeconds !== null) parts.push(`${formatSeconds(etaSeconds)} to go`);
  return `${stage} ${parts.join(', ')}`;
}

function formatRate(event: JobEvent & { event: 'progress' }): string | null {
  if ('totalJobs' in event) return `${event.doneJobs} of ${event.totalJobs} jobs`;
  return 'tokensPerSecond' in event ? formatTokenRate(event.tokensPerSecond) : formatByteRate(event.bytesPerSecond);
}

function formatJob({ job, status, message }: JobEvent & { event: 'job' }): string {
  const why = message === undefined ? '' : `: ${message}`;
  return `lathe: ${escapeLine(`${job} ${status === 'running' ? 'starts' : status}${why}`)}`;
}

/** The time of day alone: the file has the date. */
function formatLog({ time, level, stage, message, data }: JobEvent & { event: 'log' }): string {
  const place = stage === '' ? '' : ` ${stage}:`;
  const facts = data === undefined ? '' : ` ${toSafeJson(data)}`;
  return `lathe: ${time.slice(11, 23)} ${level}${escapeLine(`${place} ${message}`)}${facts}`;
}

function formatByteRate(bytesPerSecond: number): string | null {
  return bytesPerSecond > 0 ? `${(bytesPerSecond / 1e6).toFixed(bytesPerSecond < 1e7 ? 1 : 0)} MB/s` : null;
}

function formatTokenRate(tokensPerSecond: number): string | null {
  return tokensPerSecond > 0 ? `${formatCount(Math.round(tokensPerSecond))} tokens/s` : null;
}

function formatBarLine(event: JobEvent & { event: 'progress' }): string {
  const filled = Math.floor(BAR_WIDTH * Math.min(1, Math.max(0, event.fraction)));
  const bar = `[${'='.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}]`;
  return `${bar} ${formatProgress(event)}`;
}
