/**
 * The log of a run, beside its journal: `log.ndjson`, and `log.1.ndjson` with the lines before those.
 *
 * For people who look for what went wrong; nothing is read back from it. It is not synced, and a log that cannot be written
 * stops nothing: the first failure is told to whoever asks.
 */
import { appendFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLine } from '../../core/contract/log-line.ts';

/** Of each of the two files, about: a long run's log is no burden, and the last hour is there. */
const MAX_FILE_BYTES = 1 << 20;
/** A stack or a list of names may be long, and says nothing new after this. */
const MAX_LINE_CHARACTERS = 16 << 10;
const WRITE_EVERY_MS = 500;

export function logPath(runFolder: string): string {
  return join(runFolder, 'log.ndjson');
}

export class RunLog {
  readonly #folder: string;
  #waiting: string[] = [];
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #bytes: number | null = null;
  #failure: unknown = null;

  constructor(runFolder: string) {
    this.#folder = runFolder;
  }

  write(line: LogLine): void {
    if (this.#failure !== null) return;
    this.#waiting.push(toText(line));
    this.#timer ??= setTimeout(() => void this.#flush(), WRITE_EVERY_MS);
  }

  /** Writes what waits; with what kept the log from being written, or null. Never rejects. */
  async close(): Promise<unknown> {
    await this.#flush();
    return this.#failure;
  }

  async #flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#writing = this.#writing
      .then(() => this.#append(text))
      .catch((error: unknown) => void (this.#failure = error));
    await this.#writing;
  }

  async #append(text: string): Promise<void> {
    if (text === '') return;
    const path = logPath(this.#folder);
    const textBytes = Buffer.byteLength(text);
    this.#bytes ??= await sizeOf(path);
    if (this.#bytes > 0 && this.#bytes + textBytes > MAX_FILE_BYTES) {
      await rename(path, join(this.#folder, 'log.1.ndjson'));
      this.#bytes = 0;
    }
    await appendFile(path, text);
    this.#bytes += textBytes;
  }
}

function toText(line: LogLine): string {
  const text = JSON.stringify(line);
  if (text.length <= MAX_LINE_CHARACTERS) return `${text}\n`;
  const { time, level, stage, message } = line;
  return `${JSON.stringify({ time, level, stage, message: message.slice(0, MAX_LINE_CHARACTERS / 2), data: { cutAt: text.length } })}\n`;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}
