import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { newGgufFile } from '../../../../core/formats/gguf/gguf-writer.ts';
import { ggufTokenizerKeys, type TokenizerSource } from '../../../../core/model/gguf-export-tokenizer.ts';
import type { GgufModel } from '../../../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../../../core/model/gguf-tokenizer.ts';
import type { JsonObject } from '../../../../core/model/model-config.ts';
import { openModel } from '../../../../core/model/open-model.ts';
import { createTokenizer } from '../../../../core/tokenizer/tokenizer.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

interface Vector {
  text: string;
  ids: number[];
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../golden/tokenizer/${name}`, import.meta.url), 'utf8')) as T;
}

const { kinds } = read<{ kinds: Record<string, Vector[]> }>('vectors.json');

function source(tokenizerJson: JsonObject, parts: Partial<TokenizerSource> = {}): TokenizerSource {
  const { vocabularySize } = createTokenizer({ tokenizerJson, tokenizerConfig: null, file: 'tokenizer.json' });
  return {
    tokenizerJson,
    tokenizerConfig: null,
    config: {},
    chatTemplate: null,
    addsBos: false,
    vocabularySize,
    file: 'tokenizer.json',
    ...parts,
  };
}

/** What a GGUF file with these keys is read as. */
async function readBack(keys: ReturnType<typeof ggufTokenizerKeys>) {
  const { header } = newGgufFile(new Map([['general.architecture', { type: 'string', value: 'x' }], ...keys]), []);
  const files = new MemoryFiles({ '/m/m.gguf': header });
  const model = (await openModel('/m/m.gguf', files)) as GgufModel;
  return readGgufTokenizer(model, files);
}

describe('ggufTokenizerKeys', () => {
  it.each([
    ['gpt2', 'gpt2', 'gpt-2'],
    ['smollm', 'gpt2', 'smollm'],
    ['llama3', 'gpt2', 'llama-bpe'],
    ['qwen2', 'gpt2', 'qwen2'],
    ['o200k', 'gpt2', 'gpt-4o'],
    ['llama2', 'llama', 'default'],
  ])('knows %s by its steps, and what it writes gives the same ids', async (kind, model, pre) => {
    const keys = ggufTokenizerKeys(source(read<JsonObject>(`${kind}.json`)));
    expect(keys.get('tokenizer.ggml.model')).toEqual({ type: 'string', value: model });
    expect(keys.get('tokenizer.ggml.pre')).toEqual({ type: 'string', value: pre });
    const tokenizer = createTokenizer({ ...(await readBack(keys)), file: 'm.gguf' });
    const vectors = kinds[kind] ?? [];
    expect(vectors.length).toBeGreaterThan(20);
    for (const { text, ids } of vectors) expect([...tokenizer.encode(text)], JSON.stringify(text)).toEqual(ids);
  });

  it('refuses steps that no kind has, and shows them', () => {
    const refused = () => ggufTokenizerKeys(source(read<JsonObject>('gpt2-prefix.json')));
    expect(refused).toThrow(expect.objectContaining({ code: 'TOKENIZER_NOT_SUPPORTED' }));
    expect(refused).toThrow(/"add_prefix_space":true/);
  });

  it('fills the ids that no token has, up to the rows of the embedding', () => {
    const json = read<JsonObject>('gpt2.json');
    const { vocabularySize } = source(json);
    const keys = ggufTokenizerKeys(source(json, { vocabularySize: vocabularySize + 3 }));
    const tokens = keys.get('tokenizer.ggml.tokens');
    const types = keys.get('tokenizer.ggml.token_type');
    expect(tokens?.type === 'array' && tokens.items.slice(-3)).toEqual(
      [0, 1, 2].map((index) => `[PAD${vocabularySize + index}]`),
    );
    expect(types?.type === 'array' && types.items.slice(-3)).toEqual([5, 5, 5]);
    const few = () => ggufTokenizerKeys(source(json, { vocabularySize: 10 }));
    expect(few).toThrow(/embeddings for 10/);
  });

  it('names the special tokens by their texts, else by the config, and takes the template along', () => {
    const json = read<JsonObject>('llama3.json');
    const added = (json['added_tokens'] as { id: number; content: string }[])[0];
    const keys = ggufTokenizerKeys(
      source(json, {
        tokenizerConfig: {
          bos_token: { content: added?.content },
          chat_template: [{ name: 'default', template: 'T' }],
        },
        config: { bos_token_id: 0, eos_token_id: [7, 8] },
        addsBos: true,
      }),
    );
    expect(keys.get('tokenizer.ggml.bos_token_id')).toEqual({ type: 'u32', value: added?.id });
    expect(keys.get('tokenizer.ggml.eos_token_id')).toEqual({ type: 'u32', value: 7 });
    expect(keys.get('tokenizer.ggml.add_bos_token')).toEqual({ type: 'bool', value: true });
    expect(keys.get('tokenizer.chat_template')).toEqual({ type: 'string', value: 'T' });
  });
});
