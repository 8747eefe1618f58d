/**
 * The journal of a run: one JSON object a line, appended and synced, the truth about what is done.
 *
 * A line that a crash tore (only ever the last) is ignored. Lives in `LATHE_HOME/runs/<id>/journal.jsonl`.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { wrapFileErrors } from './file-errors.ts';
import { makeFolders, syncFolder } from './durable-files.ts';
import type { SerializedError } from '../../core/errors.ts';
import type { WorkRecord } from '../../core/methods/lossless/work.ts';
import type { Fingerprints } from './fingerprints.ts';

export type JournalLine =
  | {
      type: 'run';
      runId: string;
      command: string;
      model: string;
      output: string;
      startedAt: string;
      fingerprints: Fingerprints;
    }
  | { type: 'resumed'; at: string }
  | { type: 'item'; key: string; record: WorkRecord }
  /** Scores of windows `from` up to before `to` of a text (a task) are in the run's score file, in this range. */
  | { type: 'windows'; task: string; from: number; to: number; offsetBytes: number; sizeBytes: number }
  /** Log-likelihoods of choices `from` and on, in the order in which they are scored. */
  | { type: 'choices'; from: number; logLikelihoods: number[]; referenceLogLikelihoods: number[] | null }
  /** Everything is written and verified; the output, of which this is the `lathe.json`, is about to take its place. */
  | { type: 'committing'; latheFileSha256: string }
  | { type: 'done'; at: string; seconds: number }
  | { type: 'failed'; at: string; error: SerializedError }
  | { type: 'interrupted'; at: string };

const NEWLINE = 0x0a;
const CHUNK_BYTES = 64 << 10;

export interface Journal {
  append(line: JournalLine): Promise<void>;
  close(): Promise<void>;
}

export function journalPath(home: string, runId: string): string {
  return join(home, 'runs', runId, 'journal.jsonl');
}

/** Opens a journal for appending; a torn last line is ended first, so that the next one stands alone. */
export async function openJournal(path: string): Promise<Journal> {
  return wrapFileErrors('write', path, async () => {
    await makeFolders(dirname(path));
    const handle = await open(path, 'a+');
    try {
      if (await isTorn(handle)) await handle.appendFile('\n');
      await syncFolder(dirname(path));
    } catch (error) {
      await handle.close();
      throw error;
    }
    return {
      append: (line) =>
        wrapFileErrors('write', path, async () => {
          await handle.appendFile(`${JSON.stringify(line)}\n`);
          await handle.datasync();
        }),
      close: () => handle.close(),
    };
  });
}

async function isTorn(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { buffer } = await handle.read(new Uint8Array(1), 0, 1, size - 1);
  return buffer[0] !== NEWLINE;
}

/** All whole lines of a journal; `null` if there is none. */
export async function readJournal(path: string): Promise<JournalLine[] | null> {
  const text = await orNullIfMissing(path, () => readFile(path, 'utf8'));
  return text === null ? null : text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

/** The line with which a run began; `null` if it is not there. Journals may be long, so no more is read than that. */
export async function readRunLine(path: string): Promise<Extract<JournalLine, { type: 'run' }> | null> {
  const text = await orNullIfMissing(path, () => readFirstLine(path));
  const line = text === null ? null : parseLine(text);
  return line?.type === 'run' ? line : null;
}

async function readFirstLine(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      const end = buffer.subarray(0, bytesRead).indexOf(NEWLINE);
      chunks.push(buffer.subarray(0, end < 0 ? bytesRead : end));
      if (end >= 0 || bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
    }
  } finally {
    await handle.close();
  }
}

async function orNullIfMissing(path: string, read: () => Promise<string>): Promise<string | null> {
  return wrapFileErrors('read', path, async () => {
    try {
      return await read();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
  });
}

/** Null for a line that a crash tore. */
function parseLine(line: string): JournalLine | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'type' in value ? (value as JournalLine) : null;
  } catch {
    return null;
  }
}
