import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutRulesOf, cutText } from '../../../../core/tokenizer/safe-cuts.ts';
import { createTokenizer } from '../../../../core/tokenizer/tokenizer.ts';

const FOLDER = fileURLToPath(new URL('../../../golden/tokenizer/', import.meta.url));
const KINDS = readdirSync(FOLDER).filter((name) => name !== 'vectors.json');

/** Letters of several scripts, digits, marks, every kind of white space, the signs of spaces, pieces of special tokens. */
const parts = fc.constantFrom(
  ...'abcXYZßéÅ中日あア한ع1२½²',
  ...[' ', '  ', '\n', '\n\n', '\r\n', '\t', '\u00a0', '\u0085', '\ufeff', '\u2581', '\u0120', '\u010a', '\u0301'],
  ...["'s", "'LL", '.', '!?', '/', '-', '\u0000', '👩‍💻', '𝔘', 'the', ' the ', 'ation', '<|endoftext|>', '<s>', '</s>'],
);
const text = fc.array(parts, { maxLength: 120 }).map((found) => found.join(''));

function openKind(kind: string) {
  const tokenizerJson = JSON.parse(readFileSync(`${FOLDER}${kind}`, 'utf8')) as Record<string, unknown>;
  return { tokenizerJson, open: (pieceCharacters?: number) => create(tokenizerJson, kind, pieceCharacters) };
}

function create(tokenizerJson: unknown, file: string, pieceCharacters?: number) {
  return createTokenizer({ tokenizerJson, tokenizerConfig: null, file, pieceCharacters });
}

describe.each(KINDS)('%s', (kind) => {
  const { open } = openKind(kind);

  test('pieces of any size give the ids of the whole', () => {
    const whole = open(1 << 20);
    const bySize = [1, 3, 17].map((size) => open(size));
    fc.assert(
      fc.property(text, (value) => {
        const expected = [...whole.encode(value)];
        for (const tokenizer of bySize) expect([...tokenizer.encode(value)]).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

test('every kind is cut but those whose tokens go across words', () => {
  const uncut = KINDS.filter((kind) => cutRulesOf(openKind(kind).tokenizerJson) === null);
  expect(uncut).toEqual(['metaspace-across.json', 'metaspace-whole.json']);
});

test('pieces put together are the text, and each but the last has at least the size asked for', () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 40 }), (value, size) => {
      const pieces = [...cutText(value, size)];
      expect(pieces.join('')).toBe(value);
      for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeGreaterThanOrEqual(size);
    }),
  );
});
