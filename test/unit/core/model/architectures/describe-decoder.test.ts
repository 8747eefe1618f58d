import { describe, expect, test } from 'vitest';
import { checkDecoderTensors, decoderTensors } from '../../../../../core/model/architectures/decoder-tensors.ts';
import { describeDecoder } from '../../../../../core/model/architectures/describe-decoder.ts';
import type { WeightSource } from '../../../../../core/model/weight-source.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const CONFIG = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 16,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
};
const NO_NAMES = new Set<string>();

describe('describing a decoder', () => {
  test('names an unknown architecture and the commands that still work', async () => {
    const error = await errorOf(() => describeDecoder({ ...CONFIG, model_type: 'rwkv' }, NO_NAMES));
    expect(error.code).toBe('MODEL_ARCHITECTURE_UNKNOWN');
    expect(error.what).toContain('"rwkv"');
    expect(error.whatToDo).toMatch(/inspect.*restore.*verify/);
    for (const config of [null, {}, { ...CONFIG, model_type: 'constructor' }]) {
      expect(await errorOf(() => describeDecoder(config, NO_NAMES))).toHaveProperty(
        'code',
        'MODEL_ARCHITECTURE_UNKNOWN',
      );
    }
  });

  test.each([
    ['hidden_size', undefined],
    ['hidden_size', 33],
    ['hidden_size', '32'],
    ['num_attention_heads', 0],
    ['num_key_value_heads', 3],
    ['num_hidden_layers', 1e6],
    ['vocab_size', 1e9],
    ['vocab_size', 16.5],
    ['rms_norm_eps', -1],
    ['rope_theta', 0],
    ['hidden_act', 'sine'],
    ['attention_bias', 1],
    ['rope_scaling', 4],
    ['rope_scaling', { type: 'spiral' }],
    ['rope_scaling', { type: 'linear' }],
    ['rope_scaling', { type: 'longrope', short_factor: [1], long_factor: [1] }],
    ['partial_rotary_factor', 0.4],
  ])('refuses a config whose "%s" is %j', async (key, value) => {
    const error = await errorOf(() => describeDecoder({ ...CONFIG, [key]: value }, NO_NAMES));
    expect(error.code).toBe('MODEL_CONFIG_INVALID');
    expect(error.where.file).toBe('config.json');
  });
});

describe('checking tensors against a description', () => {
  const decoder = describeDecoder(CONFIG, NO_NAMES);

  /** The tensors that the config asks for, with changes. */
  function stored(changes: Record<string, number[] | null> = {}): WeightSource {
    const shapes = new Map<string, readonly number[]>(decoderTensors(decoder).map(({ name, shape }) => [name, shape]));
    for (const [name, shape] of Object.entries(changes)) {
      if (shape === null) shapes.delete(name);
      else shapes.set(name, shape);
    }
    return {
      names: new Set(shapes.keys()),
      shapeOf: (name) => shapes.get(name) ?? null,
      read: () => Promise.reject(new Error('no weight is read for a check')),
    };
  }

  test('takes what fits, buffers of old programs included', () => {
    checkDecoderTensors(decoder, stored());
    checkDecoderTensors(decoder, stored({ 'model.layers.0.self_attn.rotary_emb.inv_freq': [4] }));
  });

  test.each([
    [
      'missing',
      { 'model.layers.1.mlp.up_proj.weight': null },
      'MODEL_TENSOR_MISSING',
      'model.layers.1.mlp.up_proj.weight',
    ],
    ['of another shape', { 'model.norm.weight': [31] }, 'MODEL_SHAPE_MISMATCH', 'model.norm.weight'],
    [
      'turned',
      { 'model.layers.0.mlp.up_proj.weight': [32, 48] },
      'MODEL_SHAPE_MISMATCH',
      'model.layers.0.mlp.up_proj.weight',
    ],
    [
      'left over',
      { 'model.layers.2.mlp.up_proj.weight': [48, 32] },
      'MODEL_TENSOR_UNEXPECTED',
      'model.layers.2.mlp.up_proj.weight',
    ],
    [
      'a bias nobody asks for',
      { 'model.layers.0.self_attn.q_proj.bias': [32] },
      'MODEL_TENSOR_UNEXPECTED',
      'model.layers.0.self_attn.q_proj.bias',
    ],
    ['a head that is not tied', { 'lm_head.weight': null }, 'MODEL_TENSOR_MISSING', 'lm_head.weight'],
  ])('names a tensor that is %s', async (_, changes, code, tensor) => {
    const error = await errorOf(() => checkDecoderTensors(decoder, stored(changes)));
    expect(error).toMatchObject({ code, where: { tensor } });
  });

  test('leaves out a head that is stored although it is tied', () => {
    const tied = describeDecoder({ ...CONFIG, tie_word_embeddings: true }, NO_NAMES);
    expect(tied.head.weight).toBe('model.embed_tokens.weight');
    checkDecoderTensors(tied, stored());
  });
});
