/**
 * Whether a regular expression might take for ever. `RegExp` tries every way in which a pattern can fit, so a recipe of a
 * stranger could keep the program busy for years, and nothing stops a match that goes on.
 *
 * Refused is what can make the ways multiply: repeated groups that hold repetitions or alternatives, and references to what
 * a group found. Some plain repetitions are allowed: names of tensors are short.
 */

const MAX_REPETITIONS = 5;
/** From this many on a repetition with an end counts as one without. */
const MANY = 50;

interface Group {
  /** Whether something in it is repeated without an end, or there are alternatives. */
  isManifold: boolean;
}

/** @param pattern one that `RegExp` takes; @returns why it may take for ever, as the end of a sentence; null if it cannot */
export function patternCost(pattern: string): string | null {
  const open: Group[] = [{ isManifold: false }];
  let last: Group | null = null;
  let repetitions = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? '';
    const around = open[open.length - 1];
    if (around === undefined) return null;
    switch (character) {
      case '\\':
        if (/[1-9k]/.test(pattern[at + 1] ?? '')) return 'refers to what a group found';
        at += 1;
        last = null;
        break;
      case '[':
        at = endOfClass(pattern, at);
        last = null;
        break;
      case '(':
        open.push({ isManifold: false });
        last = null;
        break;
      case ')':
        last = open.pop() ?? null;
        if (last?.isManifold === true) (open[open.length - 1] ?? last).isManifold = true;
        break;
      case '|':
        around.isManifold = true;
        last = null;
        break;
      case '*':
      case '+':
      case '{': {
        const end = character === '{' ? endOfCount(pattern, at) : { at, isMany: true };
        if (end === null) break;
        at = end.at;
        if (!end.isMany) break;
        if (last?.isManifold === true)
          return 'repeats a group in which something is repeated or there are alternatives';
        repetitions += 1;
        if (repetitions > MAX_REPETITIONS) return `has more than ${MAX_REPETITIONS} repetitions without an end`;
        around.isManifold = true;
        break;
      }
      case '?':
        break;
      default:
        last = null;
    }
  }
  return null;
}

/** Of its closing bracket. */
function endOfClass(pattern: string, start: number): number {
  let at = start + 1;
  while (at < pattern.length && pattern[at] !== ']') at += pattern[at] === '\\' ? 2 : 1;
  return at;
}

/** Of `{2}`, `{2,}` or `{2,5}`; null for a brace that is a brace. */
function endOfCount(pattern: string, start: number): { at: number; isMany: boolean } | null {
  const match = /^\{(\d+)(,(\d*))?\}/.exec(pattern.slice(start));
  if (match === null) return null;
  const [whole, least = '', comma, most = ''] = match;
  const isEndless = comma !== undefined && most === '';
  return { at: start + whole.length - 1, isMany: isEndless || Number(most === '' ? least : most) > MANY };
}
