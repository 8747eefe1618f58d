/** Errors of node:fs, by their system code, as `WorkbenchError`s with a place and something to do. */
import { ModelError, ResourceError, WorkbenchError, type ErrorCode } from '../../core/errors.ts';

const BY_SYSTEM_CODE: Record<string, { code: ErrorCode; whatToDo: string; retryable?: boolean }> = {
  ENOENT: { code: 'FILE_NOT_FOUND', whatToDo: 'Check that the file is still there.' },
  ENOTDIR: { code: 'FILE_NOT_FOUND', whatToDo: 'Check the path: a part of it is a file, not a folder.' },
  EACCES: { code: 'FILE_PERMISSION_DENIED', whatToDo: 'Give yourself access, or choose another place.' },
  EPERM: { code: 'FILE_PERMISSION_DENIED', whatToDo: 'Give yourself access, or choose another place.' },
  EROFS: { code: 'FILE_PERMISSION_DENIED', whatToDo: 'Choose a place that can be written.' },
  ENOSPC: {
    code: 'RESOURCE_DISK_FULL',
    whatToDo: 'Free some space, then run it again with --resume.',
    retryable: true,
  },
  EDQUOT: {
    code: 'RESOURCE_DISK_FULL',
    whatToDo: 'Free some space, then run it again with --resume.',
    retryable: true,
  },
  EMFILE: { code: 'FILE_IO', whatToDo: 'Raise the limit of open files (ulimit -n).', retryable: true },
};

export function toFileError(cause: unknown, doing: string, path: string): WorkbenchError {
  if (cause instanceof WorkbenchError) return cause;
  const system = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const known = BY_SYSTEM_CODE[system];
  const text = cause instanceof Error ? cause.message : String(cause);
  const type = known?.code === 'FILE_NOT_FOUND' ? ModelError : ResourceError;
  return new type({
    code: known?.code ?? 'FILE_IO',
    what: `Cannot ${doing} "${path}": ${text}.`,
    where: { file: path },
    whatToDo: known?.whatToDo ?? 'Check the disk and try again.',
    retryable: known?.retryable ?? known === undefined,
    cause,
  });
}

/** Runs a file operation; whatever it throws gets a code, the path and something to do. */
export async function wrapFileErrors<T>(doing: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw toFileError(cause, doing, path);
  }
}
