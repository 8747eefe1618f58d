import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createTokenizer } from '../../core/tokenizer/tokenizer.ts';

interface Vector {
  text: string;
  ids: number[];
  /** Absent where it is the text. */
  decoded?: string;
}

/** Every kind of tokenizer.json with what the tokenizers library made of awkward texts; see the script named in it. */
const { kinds } = JSON.parse(readFileSync(pathOf('tokenizer/vectors.json'), 'utf8')) as {
  kinds: Record<string, Vector[]>;
};

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function openKind(kind: string) {
  const isSample = kind === 'docs-llama-7m';
  const file = isSample ? '../../examples/models/docs-llama-7m/tokenizer.json' : `tokenizer/${kind}.json`;
  const tokenizerJson: unknown = JSON.parse(readFileSync(pathOf(file), 'utf8'));
  return createTokenizer({ tokenizerJson, tokenizerConfig: null, file });
}

describe.each(Object.entries(kinds))('%s', (kind, vectors) => {
  const tokenizer = openKind(kind);

  test.each(vectors.map((vector) => [JSON.stringify(vector.text).slice(0, 60), vector] as const))(
    'encodes %s as the tokenizers library does',
    (_, { text, ids }) => {
      expect([...tokenizer.encode(text)]).toEqual(ids);
    },
  );

  test('decodes as the tokenizers library does', () => {
    for (const { text, ids, decoded } of vectors) {
      expect(tokenizer.decode(Int32Array.from(ids)), JSON.stringify(text)).toBe(decoded ?? text);
    }
  });

  test('knows as many tokens as its greatest id says', () => {
    const greatest = Math.max(...vectors.flatMap(({ ids }) => ids));
    expect(tokenizer.vocabularySize).toBeGreaterThan(greatest);
    expect(tokenizer.tokenOf(tokenizer.vocabularySize - 1)).not.toBeNull();
    expect(tokenizer.tokenOf(tokenizer.vocabularySize)).toBeNull();
  });
});
