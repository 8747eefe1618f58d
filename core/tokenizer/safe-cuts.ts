/**
 * Where a text may be cut so that the pieces, each encoded alone, give the ids of the whole.
 *
 * A cut lies between a letter and a space or line feed. It is safe where
 * - no normalization looks across it (none does: both neighbours are starters that compose with nothing there),
 * - the words end there in any case: no alternative of the word pattern takes a letter and white space after it, and the
 *   only one that looks ahead looks from white space, which in the left piece is always followed by that piece's last
 *   letter; or, where words do not end there, no token holds a letter with a space, a line feed or their sign after it,
 *   so that no merge goes across,
 * - no added token goes across, nor takes the white space after itself along,
 * - unknown characters are not joined into one token.
 *
 * Steps and patterns that are not known here are not cut.
 */
import { isJsonObject, type JsonObject } from '../model/model-config.ts';

export interface CutRules {
  /** Whether a sign for "beginning of a word" is put in front of the text, and so must be kept from later pieces. */
  hasPrefix: boolean;
  normalizerWithoutPrefix: JsonObject | null;
  preTokenizerWithoutPrefix: JsonObject | null;
}

/** A letter with what it may be cut from, or what stands for it inside of tokens: the signs of space and line feed. */
const ACROSS = /\p{L}[ \n\u2581\u0120\u010a]/u;

/** The alternatives of the word patterns of GPT-2, GPT-4, Llama 3, Qwen 2 and o200k. */
const KNOWN_ALTERNATIVES = new Set([
  "'s",
  "'t",
  "'re",
  "'ve",
  "'m",
  "'ll",
  "'d",
  "'(?:[sdmt]|ll|ve|re)",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
  "'(?i:[sdmt]|ll|ve|re)",
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
  ' ?\\p{L}+',
  ' ?\\p{N}+',
  '\\p{N}',
  '\\p{N}+',
  '\\p{N}{1,3}',
  '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+',
  '[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+',
  ' ?[^\\s\\p{L}\\p{N}]+',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*',
  ' ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\s*[\\r\\n]+',
  '\\s*[\\r\\n]',
  '\\s+(?!\\S)',
  '\\s+',
]);

/** How the text may be cut, or null where that is not certain. */
export function cutRulesOf(json: JsonObject): CutRules | null {
  const normalizer = normalizerRules(json['normalizer']);
  const preTokenizer = preTokenizerRules(json['pre_tokenizer'], replacesSpaces(json['normalizer']));
  if (normalizer === null || preTokenizer === null) return null;
  if (preTokenizer.isBytes && !preTokenizer.endsWords) return null;
  if (!areAddedTokensSafe(json) || !isModelSafe(json['model'], preTokenizer.endsWords)) return null;
  return {
    hasPrefix: normalizer.hasPrefix || preTokenizer.hasPrefix,
    normalizerWithoutPrefix: normalizer.without,
    preTokenizerWithoutPrefix: preTokenizer.without,
  };
}

/** Whether one of the added tokens stands in the text. */
export function hasAddedToken(json: JsonObject, text: string): boolean {
  return addedTokens(json).some(({ content }) => typeof content === 'string' && text.includes(content));
}

/** The text in pieces of about `characters`, cut where it is safe; a piece is longer where there is no such place. */
export function* cutText(text: string, characters: number): Iterable<string> {
  const cut = /\p{L}(?=[ \n])/gu;
  let start = 0;
  while (text.length - start > characters) {
    cut.lastIndex = start + characters;
    if (cut.exec(text) === null) break;
    yield text.slice(start, cut.lastIndex);
    start = cut.lastIndex;
  }
  yield text.slice(start);
}

interface StepRules {
  hasPrefix: boolean;
  without: JsonObject | null;
}

interface WordRules extends StepRules {
  /** Words end wherever a cut may be. */
  endsWords: boolean;
  /** Letters become signs of bytes, of which nothing tells what they stood for. */
  isBytes: boolean;
}

/** Null where a normalizer is not known to leave cuts alone. */
function normalizerRules(step: unknown): StepRules | null {
  if (!isJsonObject(step)) return { hasPrefix: false, without: null };
  switch (step['type']) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return { hasPrefix: false, without: step };
    case 'Prepend':
      return { hasPrefix: true, without: null };
    case 'Replace':
      return isSpaceReplaced(step) ? { hasPrefix: false, without: step } : null;
    case 'Sequence': {
      const inner = listOf(step['normalizers']).map((step) => normalizerRules(step));
      if (inner.some((rules) => rules === null)) return null;
      const rules = inner as StepRules[];
      const normalizers = rules.flatMap(({ without }) => (without === null ? [] : [without]));
      return { hasPrefix: rules.some(({ hasPrefix }) => hasPrefix), without: { ...step, normalizers } };
    }
    default:
      return null;
  }
}

/** Whether a normalizer leaves no space in the text. */
export function replacesSpaces(step: unknown): boolean {
  if (!isJsonObject(step)) return false;
  return isSpaceReplaced(step) || (step['type'] === 'Sequence' && listOf(step['normalizers']).some(replacesSpaces));
}

/** Gemma's: it finds no space where all were replaced before. */
export function isSplitAtSpaces({ type, pattern }: JsonObject): boolean {
  return type === 'Split' && isJsonObject(pattern) && pattern['String'] === ' ';
}

/** Sentencepiece's sign for a space. */
function isSpaceReplaced({ type, pattern, content }: JsonObject): boolean {
  return type === 'Replace' && isJsonObject(pattern) && pattern['String'] === ' ' && content === '\u2581';
}

/** Null where a step is not known. */
function preTokenizerRules(step: unknown, hasNoSpaces: boolean): WordRules | null {
  const plain = { hasPrefix: false, endsWords: false, isBytes: false };
  if (!isJsonObject(step)) return { ...plain, without: null };
  switch (step['type']) {
    case 'Digits':
      return { ...plain, without: step };
    case 'ByteLevel': {
      const hasPrefix = step['add_prefix_space'] === true;
      const endsWords = step['use_regex'] !== false;
      return { hasPrefix, without: { ...step, add_prefix_space: false }, endsWords, isBytes: true };
    }
    case 'Metaspace': {
      const hasPrefix = step['prepend_scheme'] !== 'never';
      return { ...plain, hasPrefix, without: { ...step, prepend_scheme: 'never' } };
    }
    case 'Split':
      if (hasNoSpaces && isSplitAtSpaces(step)) return { ...plain, without: step };
      return isKnownSplit(step) ? { ...plain, without: step, endsWords: true } : null;
    case 'Sequence': {
      const inner = listOf(step['pretokenizers']).map((inner) => preTokenizerRules(inner, hasNoSpaces));
      if (inner.some((rules) => rules === null)) return null;
      const rules = inner as WordRules[];
      // After words were cut, a prefix would stand before each of them: nobody means that.
      if (rules.slice(1).some(({ hasPrefix }) => hasPrefix)) return null;
      const pretokenizers = rules.flatMap(({ without }) => (without === null ? [] : [without]));
      return {
        hasPrefix: rules.some(({ hasPrefix }) => hasPrefix),
        without: { ...step, pretokenizers },
        endsWords: rules.some(({ endsWords }) => endsWords),
        isBytes: rules.some(({ isBytes }) => isBytes),
      };
    }
    default:
      return null;
  }
}

function isKnownSplit({ pattern, behavior, invert }: JsonObject): boolean {
  const isIsolated = behavior === 'Isolated' && invert !== true;
  const isKept = behavior === 'Removed' && invert === true;
  if (!(isIsolated || isKept) || !isJsonObject(pattern) || typeof pattern['Regex'] !== 'string') return false;
  return alternativesOf(pattern['Regex']).every((alternative) => KNOWN_ALTERNATIVES.has(alternative));
}

/** Splits a pattern at the bars that are in no bracket or group. */
function alternativesOf(pattern: string): string[] {
  const alternatives = [''];
  let depth = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? '';
    if (character === '\\') {
      alternatives[alternatives.length - 1] += pattern.slice(at, at + 2);
      at++;
      continue;
    }
    if (character === '[' || character === '(') depth++;
    if (character === ']' || character === ')') depth--;
    if (character === '|' && depth === 0) alternatives.push('');
    else alternatives[alternatives.length - 1] += character;
  }
  return alternatives;
}

function areAddedTokensSafe(json: JsonObject): boolean {
  return addedTokens(json).every(({ content, rstrip }) => {
    return typeof content === 'string' && !ACROSS.test(content) && !(rstrip === true && /\p{L}$/u.test(content));
  });
}

function isModelSafe(model: unknown, endsWords: boolean): boolean {
  if (!isJsonObject(model)) return false;
  const { vocab } = model;
  const tokens = isJsonObject(vocab)
    ? new Set(Object.keys(vocab))
    : new Set(listOf(vocab).map((entry) => String(listOf(entry)[0])));
  const joinsUnknown = model['type'] === 'Unigram' || model['fuse_unk'] === true;
  if (joinsUnknown && !(model['byte_fallback'] === true && hasAllBytes(tokens))) return false;
  return endsWords || ![...tokens].some((token) => ACROSS.test(token));
}

function hasAllBytes(tokens: ReadonlySet<string>): boolean {
  return [...Array(256).keys()].every((byte) => tokens.has(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`));
}

function addedTokens(json: JsonObject): JsonObject[] {
  return listOf(json['added_tokens']).filter(isJsonObject);
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
