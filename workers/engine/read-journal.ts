import { stat } from 'node:fs/promises';
import { JobError } from '../../core/errors.ts';
import { wrapFileErrors } from './file-errors.ts';
import { parseJournalLine, type ReadLine, type RunLine } from '../../core/contract/journal-lines.ts';
import { eachLine } from './read-lines.ts';

/** What a journal ends with lies within so many bytes: the lines that say how a run ended are short. */
const TAIL_BYTES = 256 << 10;

/** What can be read of a journal. */
export interface ReadJournal {
  lines: ReadLine[];
  /** Lines that a crash tore, or that are damaged otherwise. */
  damagedLines: number;
}

/**
 * All lines of a journal that can be read; `null` if there is none.
 *
 * @throws JobError RUN_JOURNAL_NEWER; ResourceError
 * Cost: memory for its sound lines; damaged ones are passed over.
 */
export async function readJournal(path: string): Promise<ReadJournal | null> {
  return orNullIfMissing(path, () => readLines(path, 0));
}

/**
 * The line with which a run began; `null` if it is not there, or is damaged. Reads no further.
 *
 * @throws JobError RUN_JOURNAL_NEWER; ResourceError
 */
export async function readRunLine(path: string): Promise<RunLine | null> {
  return orNullIfMissing(path, async () => {
    let first: ReadLine | null = null;
    await eachLine(path, (text) => {
      first = text === null ? null : parseJournalLine(text, path);
      return 'stop';
    });
    return first === null ? null : asRunLine(first);
  });
}

/**
 * First and last lines of a journal: what a list says of a run, without reading what may be long in between.
 *
 * @throws JobError RUN_JOURNAL_INVALID where there is no sound first line; RUN_JOURNAL_NEWER; ResourceError
 */
export async function readJournalEnds(path: string): Promise<{ run: RunLine; tail: ReadLine[]; changedAt: Date }> {
  const run = await readRunLine(path);
  if (run === null) throw noRunLine(path);
  return wrapFileErrors('read', path, async () => {
    const { size, mtime } = await stat(path);
    const { lines } = await readLines(path, Math.max(0, size - TAIL_BYTES));
    return { run, tail: lines, changedAt: mtime };
  });
}

/** A journal without the line that says what was run: nothing can be told of it. */
export function noRunLine(path: string): JobError {
  return new JobError({
    code: 'RUN_JOURNAL_INVALID',
    what: `The journal "${path}" does not begin with a line that says what was run.`,
    where: { file: path },
    whatToDo: 'Remove this run by "lathe runs clean" and its ID.',
  });
}

export function asRunLine(line: ReadLine): RunLine | null {
  return line.type === 'run' ? line : null;
}

async function readLines(path: string, from: number): Promise<ReadJournal> {
  const read: ReadJournal = { lines: [], damagedLines: 0 };
  let isFirst = from > 0;
  await eachLine(
    path,
    (text) => {
      const isCut = isFirst;
      isFirst = false;
      if (isCut || text === '') return undefined;
      const line = text === null ? null : parseJournalLine(text, path);
      if (line === null) read.damagedLines++;
      else read.lines.push(line);
      return undefined;
    },
    { from },
  );
  return read;
}

async function orNullIfMissing<T>(path: string, read: () => Promise<T>): Promise<T | null> {
  return wrapFileErrors('read', path, async () => {
    try {
      return await read();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
  });
}
