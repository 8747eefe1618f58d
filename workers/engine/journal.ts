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
  /** Everything is written and verified; the output is about to take its place. */
  | { type: 'committing' }
  | { type: 'done'; at: string; seconds: number }
  | { type: 'failed'; at: string; error: SerializedError }
  | { type: 'interrupted'; at: string };

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
    const old = await readFile(path, 'utf8').catch(() => '');
    const handle: FileHandle = await open(path, 'a');
    if (old !== '' && !old.endsWith('\n')) await handle.appendFile('\n');
    await syncFolder(dirname(path));
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

/** All whole lines of a journal; `null` if there is none. */
export async function readJournal(path: string): Promise<JournalLine[] | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    return wrapFileErrors('read', path, () => Promise.reject(cause as Error));
  }
  return text.split('\n').flatMap((line) => {
    if (line === '') return [];
    try {
      return [JSON.parse(line) as JournalLine];
    } catch {
      return [];
    }
  });
}
