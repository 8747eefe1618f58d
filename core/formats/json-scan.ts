/** What a scan found that `JSON.parse` would hide, or would only notice after spending memory on it. */
export interface JsonProblem {
  kind: 'too-deep' | 'too-many-members' | 'duplicate-key' | 'not-whole-number' | 'lone-surrogate';
  /** Index into the text, in UTF-16 units. */
  position: number;
  /** The key of the root object under which it lies; null above all keys. */
  rootKey: string | null;
  /** The repeated key, the number as written, or the limit. */
  detail: string;
}

export interface JsonScanLimits {
  maxDepth: number;
  maxObjectMembers: number;
  maxArrayItems: number;
  /** True where every number must be written as 0 or as digits without a sign, point, exponent or leading zero. */
  wholeNumbersOnly: boolean;
  /** True where a key may be repeated, or hold half of a character; then no keys are returned. */
  allowsRepeatedKeys?: boolean;
}

interface Frame {
  keys: Set<string> | null;
  members: number;
  expectsKey: boolean;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Walks JSON text once, before `JSON.parse`, and stops at the first thing that a parser into objects would hide or choke
 * on: nesting, sheer size, repeated keys (escapes considered), numbers that would be rounded. Says nothing about syntax:
 * text that is not JSON passes or fails here, and always fails in `JSON.parse`.
 *
 * @returns the first problem or null, and the keys of the root object in the order of the text (an object would move
 * keys such as "10" to the front)
 * Cost: O(text) time; memory for the keys of the objects open at one time.
 */
export function scanJson(text: string, limits: JsonScanLimits): { problem: JsonProblem | null; rootKeys: string[] } {
  const rootKeys: string[] = [];
  const stack: Frame[] = [];
  let frame: Frame | undefined;
  let position = 0;
  const strings = new StringEnds(text);
  const found = (kind: JsonProblem['kind'], detail: string) => ({
    problem: { kind, position, rootKey: rootKeys[rootKeys.length - 1] ?? null, detail },
    rootKeys,
  });

  while (position < text.length) {
    const unit = text.charCodeAt(position);
    if (unit === QUOTE) {
      const end = strings.after(position);
      if (frame?.keys && frame.expectsKey) {
        frame.expectsKey = false;
        if (!limits.allowsRepeatedKeys) {
          const literal = text.slice(position, end);
          const key = decodeKey(literal);
          if (key === null) break;
          // The text was well-formed: only an escape can be half of a character.
          if (key.length < literal.length - 2 && /\p{Surrogate}/u.test(key)) return found('lone-surrogate', key);
          if (frame.keys.has(key)) return found('duplicate-key', key);
          frame.keys.add(key);
          if (stack.length === 1) rootKeys.push(key);
        }
      }
      position = end;
      continue;
    }
    if (unit === OPEN_OBJECT || unit === OPEN_ARRAY) {
      if (stack.length >= limits.maxDepth) return found('too-deep', String(limits.maxDepth));
      const isObject = unit === OPEN_OBJECT;
      frame = { keys: isObject ? new Set() : null, members: 1, expectsKey: isObject };
      stack.push(frame);
    } else if (unit === CLOSE_OBJECT || unit === CLOSE_ARRAY) {
      stack.pop();
      frame = stack[stack.length - 1];
      if (!frame) break;
    } else if (unit === COMMA && frame) {
      const limit = frame.keys ? limits.maxObjectMembers : limits.maxArrayItems;
      if (++frame.members > limit) return found('too-many-members', String(limit));
      frame.expectsKey = true;
    } else if (unit === MINUS || isDigit(unit)) {
      const end = endOfNumber(text, position);
      if (limits.wholeNumbersOnly && !isWholeNumber(text, position, end)) {
        return found('not-whole-number', text.slice(position, Math.min(end, position + 40)));
      }
      position = end;
      continue;
    }
    position++;
  }
  return { problem: null, rootKeys };
}

/** Finds the ends of strings; nearly all are without escapes, and then it is the next quote. */
class StringEnds {
  readonly #text: string;
  /** Of the first backslash at or after the last string's start; the text's length where there is none. */
  #backslash = -1;

  constructor(text: string) {
    this.#text = text;
  }

  /** Index after the closing quote, or the text's length where there is none. */
  after(start: number): number {
    const text = this.#text;
    if (this.#backslash < start) this.#backslash = indexOrEnd(text, '\\', start);
    const quote = indexOrEnd(text, '"', start + 1);
    if (quote < this.#backslash) return quote + 1;
    for (let i = this.#backslash; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit === QUOTE) return i + 1;
      if (unit === BACKSLASH) i++;
    }
    return text.length;
  }
}

function indexOrEnd(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from);
  return index < 0 ? text.length : index;
}

/** Null where the literal is not a JSON string: the parser will say so. */
function decodeKey(literal: string): string | null {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  try {
    return JSON.parse(literal) as string;
  } catch {
    return null;
  }
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Index after the last of the characters that numbers are made of. */
function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length) {
    const unit = text.charCodeAt(end);
    const isPart = isDigit(unit) || unit === MINUS || unit === 0x2b || unit === 0x2e || unit === 0x45 || unit === 0x65;
    if (!isPart) break;
    end++;
  }
  return end;
}

function isWholeNumber(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return end - start === 1 || text.charCodeAt(start) !== 0x30;
}
