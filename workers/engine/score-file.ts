/**
 * Scores of finished windows, beside the journal of their run: `LATHE_HOME/runs/<id>/scores.bin`.
 *
 * Bytes are synced before the journal tells of them, so that what the journal names is whole; what follows after a crash
 * is overwritten. Double precision and host byte order: the file never leaves the machine, and a resumed run ends with
 * the bits of an uninterrupted one.
 */
import { open, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { emptyScores } from '../../core/evaluation/score-sequences.ts';
import type { VocabularyScores } from '../../core/kernels/kernels.ts';
import { makeFolders } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';
import { journalPath } from './journal.ts';

export interface ScoreRange {
  offsetBytes: number;
  sizeBytes: number;
}

export interface ScoreFile {
  /** Returns once the scores are on the disk. */
  append(scores: VocabularyScores): Promise<ScoreRange>;
  close(): Promise<void>;
  /** After `close`. */
  remove(): Promise<void>;
}

function scorePath(home: string, runId: string): string {
  return join(dirname(journalPath(home, runId)), 'scores.bin');
}

/** Opens a run's score file, to go on after so many bytes. */
export async function openScoreFile(home: string, runId: string, endBytes: number): Promise<ScoreFile> {
  const path = scorePath(home, runId);
  let end = endBytes;
  const handle: FileHandle = await wrapFileErrors('write', path, async () => {
    await makeFolders(dirname(path));
    return open(path, end === 0 ? 'w' : 'r+');
  });
  return {
    append: (scores) =>
      wrapFileErrors('write', path, async () => {
        const bytes = toBytes(scores);
        let written = 0;
        while (written < bytes.length) {
          const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, end + written);
          written += bytesWritten;
        }
        await handle.datasync();
        const range = { offsetBytes: end, sizeBytes: bytes.length };
        end += bytes.length;
        return range;
      }),
    close: () => handle.close(),
    remove: () => wrapFileErrors('remove', path, () => rm(path, { force: true })),
  };
}

/** Whether a run's scores are kept: as long as it has not come to its very end. */
export async function hasScores(home: string, runId: string): Promise<boolean> {
  return stat(scorePath(home, runId)).then(
    () => true,
    () => false,
  );
}

/** Of a run that was killed between its end and this. */
export async function removeScores(home: string, runId: string): Promise<void> {
  const path = scorePath(home, runId);
  await wrapFileErrors('remove', path, () => rm(path, { force: true }));
}

/** Scores of `count` predictions; null where the file does not have them. */
export async function readScores(
  home: string,
  runId: string,
  { offsetBytes, sizeBytes }: ScoreRange,
  count: number,
  hasReference: boolean,
): Promise<VocabularyScores | null> {
  const path = scorePath(home, runId);
  const scores = emptyScores(count, hasReference);
  if (columnsOf(scores).reduce((sum, { byteLength }) => sum + byteLength, 0) !== sizeBytes) return null;
  const bytes = await wrapFileErrors('read', path, () => readRange(path, offsetBytes, sizeBytes));
  if (bytes === null) return null;
  let at = 0;
  for (const column of columnsOf(scores)) {
    viewOf(column).set(bytes.subarray(at, at + column.byteLength));
    at += column.byteLength;
  }
  return scores;
}

/** Null where the file does not exist, or ends before. */
async function readRange(path: string, offsetBytes: number, sizeBytes: number): Promise<Uint8Array | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    while (filled < sizeBytes) {
      const { bytesRead } = await handle.read(bytes, filled, sizeBytes - filled, offsetBytes + filled);
      if (bytesRead === 0) return null;
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

function toBytes(scores: VocabularyScores): Uint8Array {
  const columns = columnsOf(scores);
  const bytes = new Uint8Array(columns.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const column of columns) {
    bytes.set(viewOf(column), at);
    at += column.byteLength;
  }
  return bytes;
}

function columnsOf({ nll, argmax, rank, kl, referenceNll, referenceArgmax }: VocabularyScores) {
  const columns = [nll, argmax, rank, kl, referenceNll, referenceArgmax];
  return columns.filter((column): column is Float64Array | Int32Array => column !== null);
}

function viewOf({ buffer, byteOffset, byteLength }: Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
