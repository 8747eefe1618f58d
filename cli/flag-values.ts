/** From the text of a flag's value to the value, or a usage error that says what is possible. */
import { UsageError } from '../core/errors.ts';
import { parseBytes } from '../core/units.ts';

/** Far above any machine; more threads than this are a slip of the finger that would only eat memory. */
const MAX_THREADS = 1024;

export function invalidArgument(what: string, whatToDo: string): UsageError {
  return new UsageError({ code: 'USAGE_INVALID_ARGUMENT', what, whatToDo });
}

/** @throws UsageError USAGE_INVALID_ARGUMENT */
export function parseThreads(text: string): number {
  const threads = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (threads >= 1 && threads <= MAX_THREADS) return threads;
  throw invalidArgument(
    `"${text}" is not a number of threads for --threads.`,
    `Write a whole number from 1 to ${MAX_THREADS}.`,
  );
}

/** Far above any text; larger numbers would lose digits. */
const MAX_COUNT = 2 ** 31 - 1;

/**
 * A whole number from `least` on.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function parseCount(text: string, flag: string, least: number): number {
  const count = /^[0-9]{1,10}$/.test(text) ? Number(text) : -1;
  if (count >= least && count <= MAX_COUNT) return count;
  throw invalidArgument(`"${text}" is not a number for ${flag}.`, `Write a whole number of ${least} or more.`);
}

/**
 * @param flag for the message
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function parsePositiveBytes(text: string, flag: string): number {
  const bytes = parseBytes(text, flag);
  if (bytes > 0) return bytes;
  throw invalidArgument(`${flag} is "${text}", which is no bytes at all.`, 'Write a size above 0, as in 8GiB.');
}

/**
 * One of a few words.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function parseChoice<T extends string>(text: string, flag: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw invalidArgument(`"${text}" is not a value of ${flag}.`, `Write ${formatAlternatives(choices)}.`);
}

/**
 * Takes `auto` and `cpu`. There is no quiet way from a GPU that was asked for to the CPU, so `gpu` is refused.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function checkDevice(text: string): void {
  if (text === 'auto' || text === 'cpu') return;
  if (/^gpu(:[0-9]+)?$/.test(text)) {
    throw invalidArgument(
      `"${text}" is not supported for --device: this release computes on the CPU only.`,
      'Write --device auto or --device cpu, or leave it away.',
    );
  }
  throw invalidArgument(`"${text}" is not a value of --device.`, 'Write auto, cpu, gpu or gpu:N.');
}

/**
 * A path may be anything but empty.
 *
 * @param name of the argument or flag, for the message
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function checkPath(path: string, name: string): string {
  if (path !== '') return path;
  throw invalidArgument(`${name} is empty.`, 'Write a path; a variable in your script may be unset.');
}

/** `a`, `a or b`, `a, b or c`. */
export function formatAlternatives(words: readonly string[]): string {
  const last = words[words.length - 1] ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`;
}
