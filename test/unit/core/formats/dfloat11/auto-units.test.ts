import { describe, expect, test } from 'vitest';
import { chooseUnits, elementsOf, MAX_UNIT_ELEMENTS } from '../../../../../core/formats/dfloat11/auto-units.ts';
import { placeTensors } from '../../../../helpers/llama-tensors.ts';

/** Matrices by name, without `.weight`. */
function matrices(paths: string[], shape = [4, 4]) {
  return placeTensors(paths.map((path) => ({ name: `${path}.weight`, shape })));
}

/** Module and paths of each unit. */
function chosen(paths: string[], { shape = [4, 4], tied = true } = {}) {
  const { units, notes } = chooseUnits(matrices(paths, shape), tied);
  return { units: units.map(({ module, paths: list }) => [module, list]), notes };
}

/** A layer with two of these is above the limit. */
const HUGE = [2 ** 15, 2 ** 15];

describe('within a layer', () => {
  test.each([
    'mlp.gate',
    'mlp.router',
    'block_sparse_moe.gate',
    'SelfAttention.relative_attention_bias',
    'embed_tokens',
    'per_layer_embedding',
    'wpe',
  ])('%s stays plain: it need not be a linear map', (path) => {
    expect(chosen([`model.layers.0.${path}`, 'model.layers.0.mlp.up_proj']).units).toEqual([
      ['model.layers.0', ['mlp.up_proj']],
    ]);
  });

  test('names that only contain these words are linear maps', () => {
    expect(chosen(['model.layers.0.mlp.gate_proj', 'model.layers.0.mlp.shared_expert_gate']).units).toEqual([
      ['model.layers.0', ['mlp.gate_proj', 'mlp.shared_expert_gate']],
    ]);
  });

  test('maps stored as [in, out] stay plain, square ones of other names do not', () => {
    const tensors = placeTensors([
      { name: 'h.0.attn.c_attn.weight', shape: [8, 24] },
      { name: 'h.1.attn.c_attn.weight', shape: [24, 8] },
    ]);
    const { units, notes } = chooseUnits(tensors, true);
    expect(units.map(({ module }) => module)).toEqual(['h.1']);
    expect(notes).toEqual([expect.stringContaining('"h.0"')]);
  });
});

describe('a layer above the limit', () => {
  test('is cut so that no unit repeats or lies within another, whatever holds weights', () => {
    const paths = ['a', 'a.b', 'a.b.c', 'a.b.d', 'e', 'f.0', 'f.1.x', 'g'].map((path) => `model.layers.0.${path}`);
    const { units, notes } = chosen(paths, { shape: HUGE });
    const modules = units.map(([module]) => String(module));
    expect(new Set(modules).size).toBe(modules.length);
    for (const module of modules) expect(modules.some((other) => other.startsWith(`${module}.`))).toBe(false);
    expect(modules).toEqual([
      'model.layers.0.e',
      'model.layers.0.g',
      'model.layers.0.a.b.c',
      'model.layers.0.a.b.d',
      'model.layers.0.f.0',
      'model.layers.0.f.1',
    ]);
    expect(notes).toEqual([
      'Tensor "model.layers.0.a.weight" stays plain: its module holds other modules with weights.',
      'Tensor "model.layers.0.a.b.weight" stays plain: its module holds other modules with weights.',
    ]);
  });

  test('is cut in time that grows with its tensors, not with their square', () => {
    const experts = Array.from({ length: 50_000 }, (_, index) => `model.layers.0.mlp.experts.${index}.up_proj`);
    const flat = Array.from({ length: 50_000 }, (_, index) => `model.layers.1.m${index}`);
    const started = performance.now();
    const { units } = chosen([...experts, ...flat], { shape: [2 ** 9, 2 ** 10] });
    expect(units).toHaveLength(100_000);
    // About 1 second on a quiet machine; with the square of 50,000 it takes minutes.
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

describe('embeddings that are not tied', () => {
  test.each([
    ['model.embed_tokens', 'lm_head'],
    ['transformer.wte', 'lm_head'],
    ['gpt_neox.embed_in', 'embed_out'],
    ['language_model.model.embed_tokens', 'language_model.lm_head'],
  ])('%s and %s become two units', (embedding, head) => {
    expect(chosen([embedding, head], { tied: false }).units).toEqual([
      [head, []],
      [embedding, []],
    ]);
    expect(chosen([embedding, head], { tied: true }).units).toEqual([]);
  });

  test('stay plain where a unit lies within them, or they are too large', () => {
    const nested = chosen(['model.embed_tokens', 'lm_head', 'lm_head.0.x'], { tied: false });
    expect(nested.units).toEqual([
      ['lm_head.0', ['x']],
      ['model.embed_tokens', []],
    ]);
    const large = chosen(['model.embed_tokens', 'lm_head'], { tied: false, shape: [2 ** 16, 2 ** 15] });
    expect(large.units).toEqual([]);
    expect(large.notes).toHaveLength(2);
  });
});

test('elements add up; a shape that overflows has more than any unit', () => {
  expect(elementsOf(matrices(['a', 'b']))).toBe(32);
  expect(elementsOf([])).toBe(0);
  const [tensor] = matrices(['a']);
  expect(elementsOf([{ ...tensor!, shape: [2 ** 40, 2 ** 40] }])).toBeGreaterThan(MAX_UNIT_ELEMENTS);
});
