/**
 * Whether two texts have paragraphs in common, so that one of them says too much good of what was fitted to the other.
 *
 * Source: the contract, section 3 ("Calibration and evaluation texts that share paragraphs").
 */

/** Shorter ones are headings, prompts and list items, which unrelated texts have in common. */
const MIN_CHARACTERS = 60;
/** Licences and other boilerplate may be in both; this much of a text, in characters of its paragraphs, is more. */
export const OVERLAP_FRACTION = 0.01;

/** The paragraphs of a text: how many characters each has, by a hash of them. */
export type Paragraphs = ReadonlyMap<number, number>;

export interface SharedParagraphs {
  /** Paragraphs of the evaluated text that the other has too; repeated ones count once. */
  shared: number;
  /** Their part of the characters of all paragraphs of the evaluated text, 0 to 1. */
  fraction: number;
  /** Whether that is OVERLAP_FRACTION or more. */
  overlap: boolean;
}

/**
 * Splits a text at blank lines. White space inside a paragraph counts as one space; paragraphs of less than 60 characters
 * are left out.
 *
 * Cost: one pass; 53 bits a paragraph, so that two different ones are taken for equal once in 10^16 comparisons.
 */
export function paragraphsOf(text: string): Paragraphs {
  const paragraphs = new Map<number, number>();
  for (const part of text.split(/\r?\n[^\S\n]*\r?\n/)) {
    const words = part.trim().replace(/\s+/g, ' ');
    if (words.length >= MIN_CHARACTERS) paragraphs.set(hashOf(words), words.length);
  }
  return paragraphs;
}

/** How much of an evaluated text stands in another one too, such as the text of a calibration. */
export function sharedParagraphs(evaluated: Paragraphs, other: Paragraphs): SharedParagraphs {
  let [shared, characters, total] = [0, 0, 0];
  for (const [hash, length] of evaluated) {
    total += length;
    if (!other.has(hash)) continue;
    shared++;
    characters += length;
  }
  const fraction = total === 0 ? 0 : characters / total;
  return { shared, fraction, overlap: fraction >= OVERLAP_FRACTION && shared > 0 };
}

/** Two 32-bit hashes in the manner of FNV-1a with different primes, 53 bits of them: a number that a map's key can be. */
function hashOf(text: string): number {
  let [high, low] = [0x811c9dc5, 0x9dc5811c];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x5bd1e995);
    low ^= low >>> 15;
  }
  high ^= high >>> 13;
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
}
