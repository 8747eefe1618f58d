import { describe, expect, test } from 'vitest';
import { checkBook } from '../../../../../core/formats/split-plane/check-book.ts';

test.each(['raw', 'const'] as const)('%s has no book', (codec) => {
  expect(checkBook(codec, undefined)).toBeNull();
  expect(checkBook(codec, null)).toBe('wrong');
  expect(checkBook(codec, [])).toBe('wrong');
});

describe('a book of 256 symbols', () => {
  const symbols = Array.from({ length: 256 }, (_, symbol) => symbol);

  test.each([
    ['rans12x32' as const, symbols.map((symbol) => [symbol, 16])],
    ['huff12' as const, symbols.map((symbol) => [symbol, 8])],
  ])('is taken by %s', (codec, book) => {
    expect(checkBook(codec, book)).toEqual(book);
    expect(checkBook(codec, [...book, [256, 1]])).toBe('wrong');
  });
});

test.each([
  ['a text', 'book'],
  ['an object', {}],
  ['nothing', undefined],
  ['an entry of three numbers', [[1, 4096, 0]]],
  ['an entry of one', [[1]]],
  ['an entry that is a text', ['14096']],
  ['a symbol that is a text', [['1', 4096]]],
  ['a negative symbol', [[-1, 4096]]],
  ['257 entries', Array(257).fill([1, 1])],
])('%s is no book', (_, value) => {
  for (const codec of ['rans12x32', 'huff12', 'pal4'] as const) expect(checkBook(codec, value)).toBe('wrong');
});

test('pal4 may repeat symbols, the others may not', () => {
  const palette = Array.from({ length: 16 }, () => [7, 0]);
  expect(checkBook('pal4', palette)).toEqual(palette);
  expect(checkBook('pal4', palette.slice(1))).toBe('wrong');
  expect(
    checkBook('rans12x32', [
      [7, 2048],
      [7, 2048],
    ]),
  ).toBe('wrong');
});
