import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../../../core/errors.ts';
import type { GgufModel } from '../../../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../../../core/model/gguf-tokenizer.ts';
import { openModel } from '../../../../core/model/open-model.ts';
import { buildGguf, type GgufValueSpec } from '../../../helpers/build-gguf.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

type Entry = [string, ...GgufValueSpec];

function strings(...items: (string | Uint8Array)[]): GgufValueSpec {
  return ['array', { of: 'string', items }];
}

function numbers(of: 'i32' | 'u32' | 'f32', ...items: number[]): GgufValueSpec {
  return ['array', { of, items }];
}

const BYTE_LEVEL: Record<string, GgufValueSpec> = {
  model: ['string', 'gpt2'],
  pre: ['string', 'gpt-2'],
  tokens: strings('a', 'b', 'ab', '<s>', '<tool>', '[PAD5]', '</s>'),
  token_type: numbers('i32', 1, 1, 1, 3, 4, 5, 3),
  merges: strings('a b'),
  bos_token_id: ['u32', 3],
  eos_token_id: ['u32', 6],
};
const PIECES: Record<string, GgufValueSpec> = {
  model: ['string', 'llama'],
  tokens: strings('<unk>', '<s>', '<0x41>', '\u2581', 'a', 'b', 'ab', '\u2581a', '  '),
  scores: numbers('f32', 0, 0, 0, -4, -5, -6, -1, -2, -1000),
  token_type: numbers('i32', 2, 3, 6, 1, 1, 1, 1, 1, 4),
  bos_token_id: ['u32', 1],
  unknown_token_id: ['u32', 0],
};

async function read(keys: Record<string, GgufValueSpec>, more: Entry[] = []) {
  const metadata = Object.entries(keys).map(([key, value]): Entry => [`tokenizer.ggml.${key}`, ...value]);
  const files = new MemoryFiles({ '/m/m.gguf': buildGguf({ metadata: [...metadata, ...more] }) });
  const model = (await openModel('/m/m.gguf', files)) as GgufModel;
  return readGgufTokenizer(model, files);
}

describe('byte-level tokenizers', () => {
  test('have their tokens by id, holes left out, special and user-defined ones added', async () => {
    const { tokenizerJson, tokenizerConfig } = await read(BYTE_LEVEL, [
      ['tokenizer.chat_template', 'string', '{{ x }}'],
    ]);
    expect(tokenizerJson).toMatchObject({
      pre_tokenizer: { type: 'ByteLevel', use_regex: true },
      post_processor: null,
      model: {
        type: 'BPE',
        vocab: { a: 0, b: 1, ab: 2, '<s>': 3, '<tool>': 4, '</s>': 6 },
        merges: ['a b'],
        ignore_merges: false,
      },
    });
    expect(tokenizerJson['added_tokens']).toMatchObject([
      { id: 3, content: '<s>', special: true },
      { id: 4, content: '<tool>', special: false },
      { id: 6, content: '</s>', special: true },
    ]);
    expect(tokenizerConfig).toMatchObject({
      bos_token: '<s>',
      eos_token: '</s>',
      add_bos_token: false,
      add_eos_token: false,
      chat_template: '{{ x }}',
    });
  });

  test('put the beginning in front where the file asks for it, or Llama 3 does', async () => {
    const changes: Record<string, GgufValueSpec>[] = [
      { add_bos_token: ['bool', true] },
      { pre: ['string', 'llama-bpe'] },
    ];
    for (const change of changes) {
      const { tokenizerJson, tokenizerConfig } = await read({ ...BYTE_LEVEL, ...change });
      expect(tokenizerConfig['add_bos_token']).toBe(true);
      expect(tokenizerJson['post_processor']).toMatchObject({
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
        special_tokens: { '<s>': { ids: [3] } },
      });
    }
    const never = await read({ ...BYTE_LEVEL, pre: ['string', 'llama-bpe'], add_bos_token: ['bool', false] });
    expect(never.tokenizerConfig['add_bos_token']).toBe(false);
  });

  test('without types have plain tokens only', async () => {
    const keys = Object.fromEntries(Object.entries(BYTE_LEVEL).filter(([key]) => key !== 'token_type'));
    expect((await read(keys)).tokenizerJson['added_tokens']).toEqual([]);
  });
});

describe('pieces', () => {
  test('get merges from their scores, signs for spaces, bytes and a beginning', async () => {
    const { tokenizerJson, tokenizerConfig } = await read(PIECES);
    expect(tokenizerJson).toMatchObject({
      normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '\u2581' }, { type: 'Replace' }] },
      pre_tokenizer: null,
      model: { unk_token: '<unk>', fuse_unk: true, byte_fallback: true },
    });
    // The user-defined run of spaces first, whatever its score says.
    expect(tokenizerJson['model']).toMatchObject({ merges: ['\u2581 \u2581', 'a b', '\u2581 a'] });
    expect(tokenizerConfig).toMatchObject({ add_bos_token: true, bos_token: '<s>', unk_token: '<unk>' });
  });

  test('without a space in front, where the file says so', async () => {
    const { tokenizerJson } = await read({ ...PIECES, add_space_prefix: ['bool', false] });
    expect(tokenizerJson['normalizer']).toMatchObject({ type: 'Replace' });
    expect(JSON.stringify(tokenizerJson['decoder'])).not.toContain('Strip');
  });
});

describe('refuses', () => {
  test.each<[string, ErrorCode, Record<string, GgufValueSpec>, string]>([
    ['no tokenizer', 'TOKENIZER_MISSING', {}, 'holds no tokenizer'],
    ['another kind', 'TOKENIZER_NOT_SUPPORTED', { ...BYTE_LEVEL, model: ['string', 't5'] }, '"t5"'],
    [
      'another split into words',
      'TOKENIZER_NOT_SUPPORTED',
      { ...BYTE_LEVEL, pre: ['string', 'poro-chat'] },
      '"poro-chat"',
    ],
    ['no split into words', 'TOKENIZER_NOT_SUPPORTED', without('pre'), 'tokenizer.ggml.pre'],
    ['no merges', 'TOKENIZER_NOT_SUPPORTED', without('merges'), 'merges'],
    ['no tokens', 'TOKENIZER_MISSING', without('tokens'), 'no list of tokens'],
    [
      'tokens that are no texts',
      'TOKENIZER_INVALID',
      { ...BYTE_LEVEL, tokens: numbers('i32', 1) },
      'tokenizer.ggml.tokens',
    ],
    [
      'tokens that are no list',
      'TOKENIZER_INVALID',
      { ...BYTE_LEVEL, tokens: ['string', 'a'] },
      'tokenizer.ggml.tokens',
    ],
    ['a type too few', 'TOKENIZER_INVALID', { ...BYTE_LEVEL, token_type: numbers('i32', 1) }, '1 items'],
    [
      'an unknown type',
      'TOKENIZER_INVALID',
      { ...BYTE_LEVEL, token_type: numbers('i32', 1, 1, 1, 3, 4, 5, 7) },
      'type 7',
    ],
    [
      'a repeated token',
      'TOKENIZER_INVALID',
      { ...BYTE_LEVEL, tokens: strings('a', 'a', 'ab', '<s>', 'x', 'y', 'z') },
      'second time',
    ],
    [
      'a token that is not UTF-8',
      'FORMAT_HEADER_INVALID',
      { ...BYTE_LEVEL, tokens: strings('a', new Uint8Array([0xff]), 'c', 'd', 'e', 'f', 'g') },
      'UTF-8',
    ],
    ['scores of another length', 'TOKENIZER_INVALID', { ...PIECES, scores: numbers('f32', 1, 2) }, '2 items'],
    [
      'a beginning that is no number',
      'MODEL_CONFIG_INVALID',
      { ...PIECES, bos_token_id: ['string', '1'] },
      'bos_token_id',
    ],
  ])('%s', async (_, code, keys, expected) => {
    const error = await errorOf(() => read(keys));
    expect(error.code).toBe(code);
    expect(error.what).toContain(expected);
  });
});

function without(key: string): Record<string, GgufValueSpec> {
  return Object.fromEntries(Object.entries(BYTE_LEVEL).filter(([name]) => name !== key));
}
