import { assertNever } from '../../errors.ts';
import type { PlaneCodec } from '../../kernels/kernels.ts';

type Book = [symbol: number, value: number][];

/** rANS frequencies of a book add up to this. */
const RANS_TOTAL = 4096;
const MAX_HUFFMAN_LENGTH = 12;
const PALETTE_SIZE = 16;

/**
 * Checks the code book of a plane.
 *
 * Source: split-plane v1, "Codecs".
 * @returns the book, null where the codec has none, 'wrong' for anything that the codec cannot have
 */
export function checkBook(codec: PlaneCodec, value: unknown): Book | null | 'wrong' {
  if (codec === 'raw' || codec === 'const') return value === undefined ? null : 'wrong';
  if (!Array.isArray(value) || value.length === 0 || value.length > 256 || !value.every(isEntry)) return 'wrong';
  const book: Book = value;
  return isBookOf(codec, book) ? book : 'wrong';
}

function isEntry(entry: unknown): entry is [number, number] {
  return (
    Array.isArray(entry) &&
    entry.length === 2 &&
    entry.every((part) => typeof part === 'number' && Number.isInteger(part)) &&
    entry[0] >= 0 &&
    entry[0] <= 255
  );
}

function isBookOf(codec: 'rans12x32' | 'huff12' | 'pal4', book: Book): boolean {
  switch (codec) {
    case 'rans12x32':
      return isAscending(book) && book.every(([, f]) => f >= 1) && sumOf(book, (f) => f) === RANS_TOTAL;
    case 'huff12':
      return isAscending(book) && isCompleteCode(book);
    case 'pal4':
      return book.length === PALETTE_SIZE && book.every(([, unused]) => unused === 0);
    default:
      return assertNever(codec, 'codec with a book');
  }
}

function isAscending(book: Book): boolean {
  return book.every(([symbol], index) => index === 0 || symbol > (book[index - 1]?.[0] ?? 0));
}

/** Kraft's sum is 1 exactly; a single symbol has length 1 by definition. */
function isCompleteCode(book: Book): boolean {
  if (!book.every(([, length]) => length >= 1 && length <= MAX_HUFFMAN_LENGTH)) return false;
  if (book.length === 1) return book[0]?.[1] === 1;
  return sumOf(book, (length) => 2 ** (MAX_HUFFMAN_LENGTH - length)) === 2 ** MAX_HUFFMAN_LENGTH;
}

function sumOf(book: Book, weight: (value: number) => number): number {
  return book.reduce((sum, [, value]) => sum + weight(value), 0);
}
