import { EXIT, exitCodeOf, serializeError, type ErrorPlace } from '../../core/errors.ts';
import { escapeLine, escapeText } from './escape-text.ts';
import type { Style } from './style.ts';

/** What `--json` says of a failure: five keys, and no stack, which is not for programs. */
export interface PublicError {
  code: string;
  what: string;
  where: ErrorPlace;
  whatToDo: string;
  retryable: boolean;
}

export function toPublicError(error: unknown): PublicError {
  const { code, what, where, whatToDo, retryable } = serializeError(error);
  return { code, what, where, whatToDo, retryable };
}

/**
 * The lines about a failure for people: what, where, what to do and the code. A fault of ours shows its stack, as
 * `isVerbose` does for any failure, with the causes below it; what to do comes last, where it is read.
 */
export function formatError(error: unknown, isVerbose: boolean, style: Style): string {
  const { code, what, where, whatToDo } = serializeError(error);
  const place = formatPlace(where);
  const isBug = exitCodeOf(error) === EXIT.bug;
  return [
    `${style.red('lathe:')} ${escapeText(what)}`,
    ...(place === '' ? [] : [`  where: ${place}`]),
    ...(isBug || isVerbose ? formatStacks(error) : []),
    `  ${escapeText(whatToDo)}`,
    `  code: ${code}`,
  ].join('\n');
}

function formatPlace({ file, tensor, byteOffset, line, column, job }: ErrorPlace): string {
  const parts: string[] = [];
  if (file !== undefined) parts.push(`file ${escapeLine(file)}`);
  if (tensor !== undefined) parts.push(`tensor ${escapeLine(tensor)}`);
  if (byteOffset !== undefined) parts.push(`byte ${byteOffset}`);
  if (line !== undefined) parts.push(`line ${line}`);
  if (column !== undefined) parts.push(`column ${column}`);
  if (job !== undefined) parts.push(`run ${escapeLine(job)}`);
  return parts.join(', ');
}

/** Stack of an error and of each of its causes; a circle of causes ends. */
function formatStacks(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (let current = error; current !== undefined && !seen.has(current);) {
    seen.add(current);
    const text = current instanceof Error ? (current.stack ?? current.message) : JSON.stringify(current);
    lines.push(...escapeText(`${lines.length === 0 ? '' : 'caused by '}${text}`).split('\n'));
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines.map((line) => `    ${line}`);
}
