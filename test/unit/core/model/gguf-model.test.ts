import { describe, expect, test } from 'vitest';
import { ggufParts } from '../../../../core/methods/gguf/gguf-parts.ts';
import { requireGgufConfig, type GgufModel } from '../../../../core/model/gguf-model.ts';
import { openModel } from '../../../../core/model/open-model.ts';
import { buildGguf, floatBytes, type GgufTensorSpec, type GgufValueSpec } from '../../../helpers/build-gguf.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

type Entry = [string, ...GgufValueSpec];

function keys(architecture: string, changes: Record<string, GgufValueSpec | null> = {}): Entry[] {
  const all: Record<string, GgufValueSpec | null> = {
    context_length: ['u32', 64],
    embedding_length: ['u32', 8],
    block_count: ['u32', 2],
    feed_forward_length: ['u32', 12],
    'attention.head_count': ['u32', 2],
    'attention.head_count_kv': ['u32', 1],
    'attention.layer_norm_rms_epsilon': ['f32', 1e-6],
    ...changes,
  };
  const entries = Object.entries(all).filter((entry): entry is [string, GgufValueSpec] => entry[1] !== null);
  return [
    ['general.architecture', 'string', architecture],
    ...entries.map(([key, value]): Entry => [`${architecture}.${key}`, ...value]),
  ];
}

function tensor(name: string, ...shape: number[]): GgufTensorSpec {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  return { name, type: 0, shape, data: floatBytes(new Array<number>(elements).fill(1)) };
}

const EMBEDDING = tensor('token_embd.weight', 5, 8);

async function open(metadata: Entry[], tensors: GgufTensorSpec[] = [EMBEDDING]): Promise<GgufModel> {
  const model = await openModel('/m/m.gguf', new MemoryFiles({ '/m/m.gguf': buildGguf({ metadata, tensors }) }));
  if (model.kind !== 'gguf') throw new Error(`opened as ${model.kind}`);
  return model;
}

describe('names', () => {
  const cases: [string, string, number[], string, number[], object][] = [
    ['llama', 'token_embd.weight', [5, 8], 'model.embed_tokens.weight', [5, 8], { order: 'stored', add: 0 }],
    ['llama', 'output_norm.weight', [8], 'model.norm.weight', [8], { order: 'stored', add: 0 }],
    ['llama', 'output.weight', [5, 8], 'lm_head.weight', [5, 8], { order: 'stored' }],
    [
      'llama',
      'blk.1.attn_q.weight',
      [8, 8],
      'model.layers.1.self_attn.q_proj.weight',
      [8, 8],
      { order: 'even-then-odd', heads: 2 },
    ],
    [
      'llama',
      'blk.0.attn_k.weight',
      [4, 8],
      'model.layers.0.self_attn.k_proj.weight',
      [4, 8],
      { order: 'even-then-odd', heads: 1 },
    ],
    [
      'llama',
      'blk.0.attn_q.bias',
      [8],
      'model.layers.0.self_attn.q_proj.bias',
      [8],
      { order: 'even-then-odd', heads: 2 },
    ],
    ['llama', 'blk.0.attn_v.weight', [4, 8], 'model.layers.0.self_attn.v_proj.weight', [4, 8], { order: 'stored' }],
    ['llama', 'blk.0.ffn_norm.weight', [8], 'model.layers.0.post_attention_layernorm.weight', [8], { add: 0 }],
    ['llama', 'blk.0.ffn_down.weight', [8, 12], 'model.layers.0.mlp.down_proj.weight', [8, 12], {}],
    ['qwen2', 'blk.0.attn_q.weight', [8, 8], 'model.layers.0.self_attn.q_proj.weight', [8, 8], { order: 'stored' }],
    ['qwen3', 'blk.0.attn_k_norm.weight', [4], 'model.layers.0.self_attn.k_norm.weight', [4], { add: 0 }],
    ['gemma', 'blk.0.ffn_norm.weight', [8], 'model.layers.0.post_attention_layernorm.weight', [8], { add: -1 }],
    ['gemma2', 'blk.0.ffn_norm.weight', [8], 'model.layers.0.pre_feedforward_layernorm.weight', [8], { add: -1 }],
    ['gemma2', 'blk.0.post_ffw_norm.weight', [8], 'model.layers.0.post_feedforward_layernorm.weight', [8], { add: -1 }],
    ['gemma3', 'blk.0.attn_q_norm.weight', [4], 'model.layers.0.self_attn.q_norm.weight', [4], { add: -1 }],
    [
      'gemma3',
      'blk.0.attn_q.weight',
      [8, 8],
      'model.layers.0.self_attn.q_proj.weight',
      [8, 8],
      { order: 'stored', add: 0 },
    ],
    [
      'phi3',
      'blk.0.attn_qkv.weight',
      [16, 8],
      'model.layers.0.self_attn.qkv_proj.weight',
      [16, 8],
      { order: 'stored' },
    ],
    ['phi3', 'blk.0.ffn_up.weight', [24, 8], 'model.layers.0.mlp.gate_up_proj.weight', [24, 8], { order: 'stored' }],
    ['gpt2', 'position_embd.weight', [64, 8], 'transformer.wpe.weight', [64, 8], { order: 'stored' }],
    ['gpt2', 'blk.1.attn_qkv.weight', [24, 8], 'transformer.h.1.attn.c_attn.weight', [8, 24], { order: 'transposed' }],
    ['gpt2', 'blk.1.ffn_down.bias', [8], 'transformer.h.1.mlp.c_proj.bias', [8], { order: 'stored' }],
  ];
  test.each(cases)('%s: %s', async (architecture, name, shape, canonicalName, canonicalShape, place) => {
    const epsilon: Record<string, GgufValueSpec | null> = {
      'attention.layer_norm_epsilon': ['f32', 1e-5],
      'attention.sliding_window': ['u32', 16],
    };
    const own = tensor(name, ...shape);
    const tensors = name === EMBEDDING.name ? [own] : [EMBEDDING, own];
    const model = await open(keys(architecture, epsilon), tensors);
    expect(model.problem).toBeNull();
    const part = ggufParts(model).find((candidate) => candidate.place.canonicalName === canonicalName);
    expect(part?.place).toMatchObject({ shape: canonicalShape, ...place });
    expect(part?.stored).toMatchObject({ type: 'F32', columns: shape.length > 1 ? shape[1] : 1, ...place });
  });

  test.each(['blk.00.attn_q.weight', 'blk.99999.attn_q.weight', 'blk.0.attn_q.scale', 'blk.0.__proto__.weight', 'x'])(
    '%s has none',
    async (name) => {
      const model = await open(keys('llama'), [EMBEDDING, tensor(name, 8, 8)]);
      expect((await errorOf(() => ggufParts(model))).code).toBe('MODEL_TENSOR_UNEXPECTED');
    },
  );

  test('rows that are no heads of pairs are refused when they are asked for', async () => {
    const model = await open(keys('llama'), [EMBEDDING, tensor('blk.0.attn_q.weight', 6, 8)]);
    expect(model.config).toBeNull();
    expect(model.tensors[1]?.place).toBeNull();
    expect(await errorOf(() => requireGgufConfig(model))).toMatchObject({
      code: 'FORMAT_SHAPE_MISMATCH',
      where: { tensor: 'blk.0.attn_q.weight' },
    });
  });

  test('a bias in blocks cannot have its rows moved', async () => {
    const blocks = { name: 'blk.0.attn_q.bias', type: 8, shape: [32], data: new Uint8Array(34) };
    const model = await open(keys('llama'), [EMBEDDING, blocks]);
    expect((await errorOf(() => ggufParts(model))).code).toBe('FORMAT_SHAPE_MISMATCH');
  });
});

describe('configs', () => {
  test('numbers stored as floats of 32 bits are the decimals they were', async () => {
    const changes: Record<string, GgufValueSpec> = { 'rope.freq_base': ['f32', 1e6] };
    expect((await open(keys('qwen2', changes))).config).toMatchObject({ rms_norm_eps: 1e-6, rope_theta: 1_000_000 });
  });

  test('a head size of its own, tied embeddings, special tokens', async () => {
    const model = await open([
      ...keys('llama', { 'attention.key_length': ['u32', 16], 'attention.value_length': ['u32', 16] }),
      ['tokenizer.ggml.bos_token_id', 'u32', 0],
      ['tokenizer.ggml.eos_token_id', 'u32', 2],
    ]);
    expect(model.config).toMatchObject({
      head_dim: 16,
      tie_word_embeddings: true,
      vocab_size: 5,
      bos_token_id: 0,
      eos_token_id: 2,
    });
    const untied = await open(keys('llama'), [EMBEDDING, tensor('output.weight', 5, 8)]);
    expect(untied.config).toMatchObject({ tie_word_embeddings: false });
    expect(untied.tiedEmbeddings).toBe(false);
  });

  test.each<[string, string, Record<string, GgufValueSpec>, number]>([
    ['gemma2', 'its head size', { block_count: ['u32', 26] }, 4],
    [
      'gemma2',
      'hidden size by heads at 27B',
      { block_count: ['u32', 46], 'attention.key_length': ['u32', 16], 'attention.value_length': ['u32', 16] },
      4,
    ],
    [
      'gemma3',
      'hidden size by heads at 27B',
      { block_count: ['u32', 62], 'attention.key_length': ['u32', 16], 'attention.value_length': ['u32', 16] },
      4,
    ],
    ['gemma3', 'the key, where there is one', { 'attention.scale': ['f32', 0.125] }, 64],
  ])('the query scale of %s is %s', async (architecture, _, changes, expected) => {
    const model = await open(keys(architecture, { 'attention.sliding_window': ['u32', 16], ...changes }));
    expect(model.config).toMatchObject({ query_pre_attn_scalar: expected });
  });

  test('windows and caps of Gemma as llama.cpp has them where keys are missing', async () => {
    const gemma2 = await open(keys('gemma2', { 'attention.sliding_window': ['u32', 16] }));
    expect(gemma2.config).toMatchObject({
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      sliding_window: 16,
    });
    expect((await open(keys('gemma3'))).config).toMatchObject({ sliding_window_pattern: 1 });
    const windows = await open(keys('gemma3', { 'attention.sliding_window': ['u32', 16] }));
    expect(windows.config).toMatchObject({ sliding_window_pattern: 6, rope_local_base_freq: 10_000 });
  });

  test('scaled positions of old files, and none where the factor is 1', async () => {
    const linear = await open(keys('llama', { 'rope.scale_linear': ['f32', 4] }));
    expect(linear.config).toMatchObject({ rope_scaling: { rope_type: 'linear', factor: 4 } });
    const none = await open(keys('llama', { 'rope.scale_linear': ['f32', 1] }));
    expect(none.config).toMatchObject({ rope_scaling: null });
    const ones = await open(keys('llama'), [EMBEDDING, tensor('rope_freqs.weight', 2)]);
    expect(ones.config).toMatchObject({ rope_scaling: null });
    // A table is no weight.
    expect(ones.parameters).toBe(40);
  });

  test.each<[string, Entry[], GgufTensorSpec[], string]>([
    ['a missing size', keys('llama', { embedding_length: null }), [], 'llama.embedding_length'],
    ['a size of 0', keys('llama', { block_count: ['u32', 0] }), [], 'llama.block_count'],
    ['a size as text', keys('llama', { block_count: ['string', '2'] }), [], 'llama.block_count'],
    ['a size as float', keys('llama', { block_count: ['f32', 2] }), [], 'llama.block_count'],
    ['a huge size', keys('llama', { embedding_length: ['u64', 2n ** 63n] }), [], 'llama.embedding_length'],
    ['a list of sizes', keys('llama', { feed_forward_length: ['array', { of: 'u32', items: [1, 2] }] }), [], 'a list'],
    ['heads that do not divide', keys('llama', { 'attention.head_count': ['u32', 3] }), [], 'a divisor of 8'],
    ['values of another size', keys('llama', { 'attention.value_length': ['u32', 2] }), [], 'the size of keys'],
    ['a norm of 0', keys('llama', { 'attention.layer_norm_rms_epsilon': ['f32', 0] }), [], 'a number above 0'],
    ['a base of NaN', keys('llama', { 'rope.freq_base': ['f32', NaN] }), [], 'a number above 0'],
    ['an unknown scaling', keys('llama', { 'rope.scaling.type': ['string', 'spiral'] }), [], '"spiral"'],
    ['yarn without a factor', keys('llama', { 'rope.scaling.type': ['string', 'yarn'] }), [], 'rope.scaling.factor'],
    ['longrope without tables', keys('phi3', { 'rope.scaling.type': ['string', 'longrope'] }), [], 'are missing'],
    ['a table of another length', keys('llama'), [tensor('rope_freqs.weight', 3)], 'expected 2'],
    [
      "factors that are not Llama 3's",
      keys('llama'),
      [{ ...tensor('rope_freqs.weight', 2), data: floatBytes([7, 8]) }],
      'not Llama 3',
    ],
    ['negative factors', keys('llama'), [{ ...tensor('rope_freqs.weight', 2), data: floatBytes([-1, 8]) }], 'positive'],
  ])('%s leaves the file to be looked at, and is told when it is restored', async (_, metadata, tensors, expected) => {
    const model = await open(metadata, [EMBEDDING, ...tensors]);
    expect(model.config).toBeNull();
    expect(model.notes.join(' ')).toContain(expected);
    const error = await errorOf(() => requireGgufConfig(model));
    expect(error.code).toBe('MODEL_CONFIG_INVALID');
    expect(error.what).toContain(expected);
  });

  test('a file without an architecture, such as an importance matrix, is looked at', async () => {
    const model = await open([['general.type', 'string', 'imatrix']], [tensor('blk.0.attn_q.weight.in_sum2', 8)]);
    expect(model).toMatchObject({ architecture: null, parameters: 8, config: null });
    expect((await errorOf(() => requireGgufConfig(model))).code).toBe('MODEL_ARCHITECTURE_UNKNOWN');
  });
});
