import { describe, expect, test } from 'vitest';
import { linearShape } from '../../../../core/model/linear-shapes.ts';
import { OFFICIAL_CONFIG } from '../../../helpers/official-dfloat11.ts';

function shapeOf(path: string, config: Record<string, unknown> = OFFICIAL_CONFIG, elements = 1): number[] | null {
  return linearShape(config, `model.layers.0.${path}.weight`, elements);
}

test.each([
  ['self_attn.q_proj', [256, 256]],
  ['self_attn.k_proj', [128, 256]],
  ['self_attn.v_proj', [128, 256]],
  ['self_attn.o_proj', [256, 256]],
  ['self_attn.qkv_proj', [512, 256]],
  ['mlp.gate_proj', [704, 256]],
  ['mlp.up_proj', [704, 256]],
  ['mlp.gate_up_proj', [1408, 256]],
  ['mlp.down_proj', [256, 704]],
  ['embed_tokens', [4096, 256]],
  ['lm_head', [4096, 256]],
])('%s has the shape that the config tells', (path, shape) => {
  expect(shapeOf(path)).toEqual(shape);
});

describe('mixtures of experts', () => {
  const config = { ...OFFICIAL_CONFIG, moe_intermediate_size: 96 };

  test('have experts of a size of their own', () => {
    expect(shapeOf('mlp.experts.7.up_proj', config)).toEqual([96, 256]);
    expect(shapeOf('mlp.experts.7.down_proj', config)).toEqual([256, 96]);
    expect(shapeOf('mlp.up_proj', config)).toEqual([704, 256]);
    expect(shapeOf('mlp.experts.7.up_proj')).toEqual([704, 256]);
  });

  test('have shared experts of another', () => {
    expect(shapeOf('mlp.shared_expert.up_proj', { ...config, shared_expert_intermediate_size: 128 })).toEqual([
      128, 256,
    ]);
    expect(shapeOf('mlp.shared_experts.up_proj', { ...config, n_shared_experts: 2 })).toEqual([192, 256]);
  });
});

describe('a size that the config leaves to its class', () => {
  const config = { text_config: { hidden_size: 64 } };

  test('follows from the number of elements', () => {
    expect(shapeOf('self_attn.k_proj', config, 32 * 64)).toEqual([32, 64]);
    expect(shapeOf('self_attn.o_proj', config, 64 * 96)).toEqual([64, 96]);
    expect(shapeOf('embed_tokens', config, 1000 * 64)).toEqual([1000, 64]);
  });

  test('is not known if it would not be whole, or the other is not told either', () => {
    expect(shapeOf('self_attn.k_proj', config, 32 * 64 + 1)).toBeNull();
    expect(shapeOf('self_attn.k_proj', {}, 4096)).toBeNull();
  });
});

test('hidden size over heads is the head size where none is given', () => {
  const { head_dim: _, ...config } = OFFICIAL_CONFIG;
  expect(shapeOf('self_attn.k_proj', config)).toEqual([128, 256]);
  const { num_key_value_heads: __, ...older } = config;
  expect(shapeOf('self_attn.k_proj', older)).toEqual([256, 256]);
});

test.each([
  ['a name of no rule', 'model.layers.0.mlp.c_fc.weight'],
  ['a bias', 'model.layers.0.mlp.up_proj.bias'],
  ['a name like a method of objects', 'model.layers.0.toString.weight'],
  ['a weight of nothing', 'weight'],
])('%s has no known shape', (_, name) => {
  expect(linearShape(OFFICIAL_CONFIG, name, 1)).toBeNull();
});

test.each([
  ['a text', { hidden_size: '256' }],
  ['zero', { hidden_size: 0 }],
  ['negative', { hidden_size: -256 }],
  ['a fraction', { hidden_size: 0.5 }],
  ['above 2^53', { hidden_size: 2 ** 60 }],
])('sizes are not taken where one is %s', (_, change) => {
  expect(shapeOf('mlp.up_proj', { ...OFFICIAL_CONFIG, ...change, intermediate_size: undefined }, 4096)).toBeNull();
});
