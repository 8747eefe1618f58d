/**
 * Tokenizers that went through GGUF metadata: byte-level ones against what the tokenizers library gave for the
 * tokenizer.json they came from (make-tokenizer-vectors.py), pieces against sentencepiece (make-gguf-fixtures.py).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openModel } from '../../core/model/open-model.ts';
import type { GgufModel } from '../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import { createTokenizer, type Tokenizer } from '../../core/tokenizer/tokenizer.ts';
import { buildGguf, type GgufSpec } from '../helpers/build-gguf.ts';
import { ggufTokenizer, type TokenizerJson } from '../helpers/convert-to-gguf.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

interface Vector {
  text: string;
  ids: number[];
}

const { kinds } = readJson<{ kinds: Record<string, Vector[]> }>('tokenizer/vectors.json');
const pieces = readJson<{
  tokens: string[];
  scores: number[];
  types: number[];
  bos: number;
  eos: number;
  unknown: number;
  texts: Vector[];
}>('gguf/pieces.json');

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as T;
}

async function tokenizerOf(metadata: GgufSpec['metadata']): Promise<Tokenizer> {
  const files = new MemoryFiles({ '/m/m.gguf': buildGguf({ metadata: metadata ?? [] }) });
  const model = (await openModel('/m/m.gguf', files)) as GgufModel;
  return createTokenizer({ ...(await readGgufTokenizer(model, files)), file: 'm.gguf' });
}

describe.each([
  ['gpt2', 'gpt-2', 'tokenizer/gpt2.json'],
  ['smollm', 'smollm', 'tokenizer/smollm.json'],
  ['llama3', 'llama-bpe', 'tokenizer/llama3.json'],
  ['qwen2', 'qwen2', 'tokenizer/qwen2.json'],
  ['o200k', 'gpt-4o', 'tokenizer/o200k.json'],
  ['docs-llama-7m', 'gpt-2', '../../examples/models/docs-llama-7m/tokenizer.json'],
] as const)('%s', (kind, pre, file) => {
  test('gives the ids of the tokenizer.json that it came from', async () => {
    const tokenizer = await tokenizerOf(ggufTokenizer(readJson<TokenizerJson>(file), pre));
    for (const { text, ids } of kinds[kind] ?? []) {
      expect([...tokenizer.encode(text)], JSON.stringify(text)).toEqual(ids);
    }
    expect(kinds[kind]?.length).toBeGreaterThan(20);
  });
});

describe('sentencepiece', () => {
  const metadata: GgufSpec['metadata'] = [
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.pre', 'string', 'default'],
    ['tokenizer.ggml.tokens', 'array', { of: 'string', items: pieces.tokens }],
    ['tokenizer.ggml.scores', 'array', { of: 'f32', items: pieces.scores }],
    ['tokenizer.ggml.token_type', 'array', { of: 'i32', items: pieces.types }],
    ['tokenizer.ggml.bos_token_id', 'u32', pieces.bos],
    ['tokenizer.ggml.eos_token_id', 'u32', pieces.eos],
    ['tokenizer.ggml.unknown_token_id', 'u32', pieces.unknown],
  ];

  test.each(pieces.texts.map(({ text, ids }) => [JSON.stringify(text), text, ids] as const))(
    'gives the ids of sentencepiece, with the beginning in front: %s',
    async (_, text, ids) => {
      const tokenizer = await tokenizerOf(metadata);
      expect([...tokenizer.encode(text)]).toEqual([pieces.bos, ...ids]);
    },
  );

  test('gives the text back', async () => {
    const tokenizer = await tokenizerOf([...metadata, ['tokenizer.ggml.add_bos_token', 'bool', false]]);
    for (const { text } of pieces.texts) {
      if (!text.includes('\u2581') && !text.includes('<|')) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  test('takes spaces in user-defined pieces, as the converter writes them, for signs of spaces', async () => {
    const items = pieces.tokens.map((token, id) => (pieces.types[id] === 4 ? token.replaceAll('\u2581', ' ') : token));
    const tokenizer = await tokenizerOf(
      metadata.map((entry) => {
        return entry[0] === 'tokenizer.ggml.tokens' ? [entry[0], 'array', { of: 'string', items }] : entry;
      }),
    );
    for (const { text, ids } of pieces.texts) expect([...tokenizer.encode(text)]).toEqual([pieces.bos, ...ids]);
  });
});
