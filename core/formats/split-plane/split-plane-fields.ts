import { FormatError, type ErrorCode, type ErrorPlace } from '../../errors.ts';
import { quoted } from '../../quoted.ts';

export function refuseSplitPlane(code: ErrorCode, where: ErrorPlace & { file: string }, found: string): FormatError {
  const tensor = where.tensor === undefined ? '' : `tensor ${quoted(where.tensor)}: `;
  return new FormatError({
    code,
    what: `${quoted(where.file)}: ${tensor}${found}`,
    where,
    whatToDo:
      code === 'FORMAT_UNSUPPORTED_VERSION'
        ? 'Use a newer Lathe to read this file.'
        : 'Get this file again: it is damaged, or was not written by Lathe.',
  });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number from 0 to 2^53 - 1. */
export function count(value: unknown, meaning: string, where: ErrorPlace & { file: string }): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const found = typeof value === 'number' ? String(value) : typeof value;
  const what = `${meaning} is ${found}, expected a whole number from 0 to 2^53 - 1.`;
  throw refuseSplitPlane('FORMAT_OFFSET_NOT_INTEGER', where, what);
}
