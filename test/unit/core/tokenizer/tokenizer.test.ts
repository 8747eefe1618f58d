import { expect, test } from 'vitest';
import type { JsonObject } from '../../../../core/model/model-config.ts';
import { createTokenizer } from '../../../../core/tokenizer/tokenizer.ts';
import { readTokenizer } from '../../../../core/tokenizer/read-tokenizer.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

/** Single letters, "ab" and a special token; one field may be changed. */
function buildTokenizerJson(change: JsonObject = {}): JsonObject {
  return {
    version: '1.0',
    added_tokens: [{ id: 4, content: '<s>', special: true, normalized: false, lstrip: false, rstrip: false }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, Ġ: 3 }, merges: ['a b'] },
    ...change,
  };
}

function create(tokenizerJson: unknown, tokenizerConfig: JsonObject | null = null) {
  return createTokenizer({ tokenizerJson, tokenizerConfig, file: 'tokenizer.json' });
}

test('merges, and gives the text back', () => {
  const tokenizer = create(buildTokenizerJson());
  expect([...tokenizer.encode('ab ba<s>')]).toEqual([2, 3, 1, 0, 4]);
  expect(tokenizer.decode(Int32Array.of(2, 3, 1, 0, 4))).toBe('ab ba<s>');
  expect(tokenizer).toMatchObject({ vocabularySize: 5, addsBos: false, notes: [] });
  expect(tokenizer.decode(new Int32Array(0))).toBe('');
  expect(tokenizer.tokenOf(2)).toBe('ab');
});

test('merges given as pairs are the same', () => {
  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, Ġ: 3 }, merges: [['a', 'b']] };
  expect([...create(buildTokenizerJson({ model })).encode('ab')]).toEqual([2]);
});

test('puts the beginning in front only where tokenizer_config.json asks for it', () => {
  const json = buildTokenizerJson();
  for (const bos_token of ['<s>', { content: '<s>', lstrip: false }]) {
    const asked = create(json, { add_bos_token: true, bos_token });
    expect(asked.addsBos).toBe(true);
    expect([...asked.encode('ab')]).toEqual([4, 2]);
    expect([...asked.encodePieces('ab')].map((ids) => [...ids])).toEqual([[4], [2]]);
    expect([...create(json, { add_bos_token: false, bos_token }).encode('ab')]).toEqual([2]);
    expect([...create(json, { bos_token }).encode('ab')]).toEqual([2]);
  }
});

test('says that a template wants a beginning that the config does not ask for', () => {
  const single = [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
  const post_processor = { type: 'TemplateProcessing', single, pair: single, special_tokens: {} };
  const tokenizer = create(buildTokenizerJson({ post_processor }));
  expect([...tokenizer.encode('ab')]).toEqual([2]);
  expect(tokenizer.notes).toEqual([expect.stringContaining('"<s>"')]);
});

test.each([
  ['a list', [], 'TOKENIZER_INVALID'],
  ['no model', buildTokenizerJson({ model: null }), 'TOKENIZER_INVALID'],
  ['a step that is a number', buildTokenizerJson({ decoder: 3 }), 'TOKENIZER_INVALID'],
  ['added tokens that are an object', buildTokenizerJson({ added_tokens: {} }), 'TOKENIZER_INVALID'],
  ['an added token without content', buildTokenizerJson({ added_tokens: [{ id: 4 }] }), 'TOKENIZER_INVALID'],
  ['a vocabulary that is a list', withModel({ vocab: [] }), 'TOKENIZER_INVALID'],
  ['an id below 0', withModel({ vocab: { a: -1 } }), 'TOKENIZER_INVALID'],
  ['an id that is no integer', withModel({ vocab: { a: 0.5 } }), 'TOKENIZER_INVALID'],
  ['an id beyond any vocabulary', withModel({ vocab: { a: 4e9 } }), 'TOKENIZER_INVALID'],
  ['merges that are missing', withModel({ merges: undefined }), 'TOKENIZER_INVALID'],
  ['a merge of one token', withModel({ merges: ['a'] }), 'TOKENIZER_INVALID'],
  ['a merge of three tokens', withModel({ merges: [['a', 'b', 'c']] }), 'TOKENIZER_INVALID'],
  ['a unigram entry without a score', withModel({ type: 'Unigram', vocab: [['a']] }), 'TOKENIZER_INVALID'],
  ['a model of words', withModel({ type: 'WordLevel' }), 'TOKENIZER_NOT_SUPPORTED'],
  ['chance', withModel({ dropout: 0.1 }), 'TOKENIZER_NOT_SUPPORTED'],
  ['a prefix inside of words', withModel({ continuing_subword_prefix: '##' }), 'TOKENIZER_NOT_SUPPORTED'],
  ['an unknown normalizer', buildTokenizerJson({ normalizer: { type: 'Nmt' } }), 'TOKENIZER_NOT_SUPPORTED'],
  [
    'a split that is merged',
    buildTokenizerJson({ pre_tokenizer: { type: 'Split', pattern: { String: 'x' }, behavior: 'MergedWithNext' } }),
    'TOKENIZER_NOT_SUPPORTED',
  ],
  [
    'an added token that wants whole words',
    buildTokenizerJson({ added_tokens: [{ id: 4, content: 'x', single_word: true }] }),
    'TOKENIZER_NOT_SUPPORTED',
  ],
])('refuses %s', async (_, json, code) => {
  expect(await errorOf(() => create(json))).toMatchObject({ code, where: { file: 'tokenizer.json' } });
});

function withModel(change: JsonObject): JsonObject {
  return buildTokenizerJson({ model: { ...(buildTokenizerJson()['model'] as JsonObject), ...change } });
}

test('refuses a beginning that is not in the vocabulary', async () => {
  const json = buildTokenizerJson();
  for (const bos_token of ['<bos>', null, 7]) {
    const error = await errorOf(() => create(json, { add_bos_token: true, bos_token }));
    expect(error).toMatchObject({ code: 'TOKENIZER_INVALID' });
  }
});

test('refuses a word that would take all memory, and takes long texts of short ones', async () => {
  const tokenizer = create(buildTokenizerJson());
  const error = await errorOf(() => tokenizer.encode('a'.repeat((4 << 20) + 1)));
  expect(error).toMatchObject({ code: 'TEXT_RUN_TOO_LONG' });
  const model = withModel({ vocab: { Ã: 0, '©': 1, Ġ: 2 }, merges: [] });
  expect(create(model).encode('é '.repeat(10)).length).toBe(30);
});

test('is read from a folder, with limits and named faults', async () => {
  const json = JSON.stringify(buildTokenizerJson());
  const config = '{"add_bos_token": true, "bos_token": "<s>", "model_max_length": Infinity}';
  const files = new MemoryFiles({ '/m/tokenizer.json': json, '/m/tokenizer_config.json': config });
  expect((await readTokenizer('/m', files)).addsBos).toBe(true);
  const faults: [Record<string, string | Uint8Array>, string][] = [
    [{ '/m/config.json': '{}' }, 'TOKENIZER_MISSING'],
    [{ '/m/tokenizer.json': '{' }, 'TOKENIZER_INVALID'],
    [{ '/m/tokenizer.json': Uint8Array.of(0x22, 0xff, 0x22) }, 'TOKENIZER_INVALID'],
    [{ '/m/tokenizer.json': json, '/m/tokenizer_config.json': '[]' }, 'TOKENIZER_INVALID'],
    [{ '/m/tokenizer.json': json, '/m/tokenizer_config.json': ' '.repeat((4 << 20) + 1) }, 'TOKENIZER_INVALID'],
  ];
  for (const [nodes, code] of faults) {
    expect(await errorOf(() => readTokenizer('/m', new MemoryFiles(nodes)))).toMatchObject({ code });
  }
});
