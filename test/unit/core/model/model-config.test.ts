import { describe, expect, test } from 'vitest';
import {
  architectureOf,
  hasTiedEmbeddings,
  parseModelConfig,
  parsePythonJson,
} from '../../../../core/model/model-config.ts';
import { errorOf } from '../../../helpers/error-of.ts';

function parse(text: string) {
  return parseModelConfig(new TextEncoder().encode(text), 'config.json').config;
}

describe('a config', () => {
  test('is read with its text', () => {
    const text = ' {"a": 1.50}\n';
    expect(parseModelConfig(new TextEncoder().encode(text), 'config.json')).toEqual({ config: { a: 1.5 }, text });
  });

  test('may repeat a key: the last value counts, as in Python', () => {
    expect(parse('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}')).toEqual({ a: 3, b: { c: 2 } });
  });

  test('may hold the numbers that only Python writes', () => {
    expect(parse('{"a": NaN, "b": [-Infinity,Infinity ,1], "c": "NaN, Infinity"}')).toMatchObject({
      a: null,
      b: [null, null, 1],
    });
  });

  test('may be nested 64 levels deep', () => {
    expect(parse(`{"a":${'['.repeat(63)}${']'.repeat(63)}}`)).toHaveProperty('a');
  });

  test.each([
    ['bytes that are not UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['text after the object', '{}}'],
    ['Python that is not JSON', "{'a': None}"],
    ['deep nesting', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['a list of more items than any config has', `{"a":[${'0,'.repeat(1_100_000)}0]}`],
  ])('is refused: %s', async (_, text) => {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    const error = await errorOf(() => parseModelConfig(bytes, 'config.json'));
    expect(error).toMatchObject({ code: 'MODEL_CONFIG_INVALID', where: { file: 'config.json' } });
  });
});

test('text that is not JSON stands for nothing', () => {
  expect(parsePythonJson('{')).toBeUndefined();
  expect(parsePythonJson('[Infinity]')).toEqual([null]);
});

test.each([
  [null, null],
  [{}, null],
  [{ architectures: ['LlamaForCausalLM', 'X'], model_type: 'llama' }, 'LlamaForCausalLM'],
  [{ architectures: [], model_type: 'llama' }, 'llama'],
  [{ architectures: 'LlamaForCausalLM' }, null],
  [{ architectures: [7], model_type: ['llama'] }, null],
])('the architecture of %j is %s', (config, expected) => {
  expect(architectureOf(config)).toBe(expected);
});

describe('embeddings are tied', () => {
  const HEAD = new Set(['lm_head.weight']);

  test.each<[Record<string, unknown> | null, ReadonlySet<string>, boolean]>([
    [{ tie_word_embeddings: true }, HEAD, true],
    [{ tie_word_embeddings: false }, new Set(), false],
    [{ text_config: { tie_word_embeddings: true } }, HEAD, true],
    [{ tie_word_embeddings: false, text_config: { tie_word_embeddings: true } }, HEAD, false],
    [{ tie_word_embeddings: 'yes' }, HEAD, false],
    [{ text_config: [] }, HEAD, false],
    [null, HEAD, false],
    [null, new Set(['embed_out.weight']), false],
    [null, new Set(['model.embed_tokens.weight']), true],
  ])('as the config %j says, else as the files %o do: %s', (config, names, expected) => {
    expect(hasTiedEmbeddings(config, names)).toBe(expected);
  });
});
