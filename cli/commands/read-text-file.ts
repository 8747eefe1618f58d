import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ResourceError, UsageError, type ErrorCode } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';

/** A kind of small file that people write. */
export interface TextFileKind {
  /** As in "the recipe", and as `lathe schema` takes it. */
  noun: string;
  maxBytes: number;
  codes: { notFound: ErrorCode; syntax: ErrorCode };
}

/**
 * Reads a small UTF-8 file that was named by the user.
 *
 * @throws UsageError with the kind's codes; ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function readTextFile(path: string, kind: TextFileKind): Promise<string> {
  const { maxBytes, codes } = kind;
  const bytes = await readStart(path, kind).catch((error: unknown) => {
    throw toFileError(error, path, kind);
  });
  if (bytes.length > maxBytes) throw fileError(codes.syntax, path, kind, `has more than ${formatBytes(maxBytes)}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw fileError(codes.syntax, path, kind, 'is not UTF-8 text', cause);
  }
}

/** Pipes are refused, and opened without waiting for a writer: one that never comes would keep the process from ending. */
async function readStart(path: string, kind: TextFileKind): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const facts = await file.stat();
    if (!facts.isFile() && !facts.isDirectory()) {
      throw fileError(kind.codes.notFound, path, kind, 'is not a regular file');
    }
    // One byte more tells a file that is too long.
    const buffer = new Uint8Array(kind.maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}

function fileError(code: ErrorCode, path: string, { noun }: TextFileKind, why: string, cause?: unknown): UsageError {
  return new UsageError({
    code,
    what: `The ${noun} "${path}" ${why}.`,
    where: { file: path },
    whatToDo: `Name a ${noun} file, YAML or JSON; "lathe schema ${noun}" says what is in one.`,
    cause,
  });
}

/** What the system says of a file, as an expected error; anything else is passed on. */
function toFileError(error: unknown, path: string, kind: TextFileKind): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return fileError(kind.codes.notFound, path, kind, 'does not exist', error);
    case 'EISDIR':
      return fileError(kind.codes.notFound, path, kind, 'is a folder, not a file', error);
    case 'EACCES':
    case 'EPERM':
      return new ResourceError({
        code: 'FILE_PERMISSION_DENIED',
        what: `The ${kind.noun} "${path}" may not be read.`,
        where: { file: path },
        whatToDo: 'Give yourself the right to read it.',
        cause: error,
      });
    default:
      return new ResourceError({
        code: 'FILE_IO',
        what: `The ${kind.noun} "${path}" could not be read: ${error.message}.`,
        where: { file: path },
        whatToDo: 'Check the path and the disk.',
        retryable: true,
        cause: error,
      });
  }
}
