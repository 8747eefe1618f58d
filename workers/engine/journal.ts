/**
 * The journal of a run: one JSON object a line, the truth about what is done. Lives in `LATHE_HOME/runs/<id>/journal.jsonl`.
 *
 * A record is appended only after its data is on the disk. Records are written and synced in groups, one group at most
 * every 200 ms: a crash loses no more finished work than that, and ten thousand items do not wait for ten thousand syncs.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders, syncFolder } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';
import type { JournalLine } from '../../core/contract/journal-lines.ts';

/** Between two groups; a record that comes after a longer pause is written at once. */
const GROUP_MS = 200;
const NEWLINE = 0x0a;

export interface Journal {
  /**
   * Takes a line; it is on the disk at most some 200 ms later. Waits while a group is being written, so that a slow disk slows the
   * job down instead of leaving more and more undone.
   *
   * @throws what kept an earlier group from being written, as do `flush` and `close`
   */
  append(line: JournalLine): Promise<void>;
  /** Takes a line that nothing depends on; what keeps it from being written is told to others. */
  note(line: JournalLine): void;
  /** Returns once every line so far is on the disk. */
  flush(): Promise<void>;
  /** After a flush. An error that was told before is not told again. */
  close(): Promise<void>;
}

export function journalPath(home: string, runId: string): string {
  return join(home, 'runs', runId, 'journal.jsonl');
}

/**
 * `LATHE_JOURNAL_GROUP_MS` sets another time. With 0 every record is synced before the next item begins: nothing that is
 * finished is ever lost, and tests can tell one write from the next.
 */
function groupMs(): number {
  const given = process.env['LATHE_JOURNAL_GROUP_MS'] ?? '';
  return /^\d{1,5}$/.test(given) ? Number(given) : GROUP_MS;
}

/** Opens a journal for appending; a torn last line is ended first, so that the next one stands alone. */
export async function openJournal(path: string): Promise<Journal> {
  return wrapFileErrors('write', path, async () => {
    await makeFolders(dirname(path));
    const handle = await open(path, 'a+');
    try {
      if (await isTorn(handle)) await handle.appendFile('\n');
      await syncFolder(dirname(path));
      return new GroupedJournal(path, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

class GroupedJournal implements Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  #waiting: string[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** The group that is being written. */
  #writing: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;
  /** A failure whose group has not come to the disk since. */
  #isTold = false;
  #writtenAt = -Infinity;
  readonly #groupMs = groupMs();

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  note(line: JournalLine): void {
    this.#waiting.push(`${JSON.stringify(line)}\n`);
    if (this.#groupMs === 0 || this.#timer !== null) return;
    const waitMs = Math.max(0, this.#writtenAt + this.#groupMs - performance.now());
    this.#timer = setTimeout(() => void this.#write(), waitMs);
  }

  async append(line: JournalLine): Promise<void> {
    this.note(line);
    await (this.#groupMs === 0 ? this.#write() : this.#writing);
    this.#tell();
  }

  async flush(): Promise<void> {
    while (this.#failure === null && (this.#writing !== null || this.#waiting.length > 0)) await this.#write();
    this.#tell();
  }

  async close(): Promise<void> {
    try {
      if (!this.#isTold) await this.flush();
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer);
      await this.#writing;
      await this.#handle.close();
    }
  }

  /** Writes what waits, after the group before it; never rejects. */
  async #write(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    this.#writing = this.#writeGroup(group);
    await this.#writing;
    this.#writing = null;
    this.#writtenAt = performance.now();
  }

  async #writeGroup(group: string[]): Promise<void> {
    try {
      await wrapFileErrors('write', this.#path, async () => {
        await this.#handle.appendFile(group.join(''));
        await this.#handle.datasync();
      });
      this.#isTold = false;
    } catch (error) {
      this.#failure ??= { error };
      // Nobody knows how much of it came to the disk. A line that stands there twice says nothing new.
      this.#waiting = ['\n', ...group, ...this.#waiting];
    }
  }

  #tell(): void {
    if (this.#failure === null) return;
    const { error } = this.#failure;
    this.#failure = null;
    this.#isTold = true;
    throw error;
  }
}

async function isTorn(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { buffer } = await handle.read(new Uint8Array(1), 0, 1, size - 1);
  return buffer[0] !== NEWLINE;
}
