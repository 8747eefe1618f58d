import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileModulePattern } from '../../../../../core/formats/dfloat11/module-pattern.ts';
import {
  planUnits,
  withoutUnits,
  type UnitOptions,
  type UnitPlan,
} from '../../../../../core/formats/dfloat11/plan-units.ts';
import type { ModelTensor } from '../../../../../core/model/open-model.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { llamaTensors, placeTensors } from '../../../../helpers/llama-tensors.ts';
import { OFFICIAL_CONFIG } from '../../../../helpers/official-dfloat11.ts';

const SIZES = { layers: 3, hidden: 8, intermediate: 16, keys: 4, vocabulary: 32, tied: true };
const LLAMA = llamaTensors(SIZES);
const LAYER_PATHS = OFFICIAL_CONFIG.dfloat11_config.pattern_dict['model\\.layers\\.\\d+'];

function plan(tensors: readonly ModelTensor[], changes: Partial<UnitOptions> = {}): UnitPlan {
  return planUnits(tensors, { units: 'auto', skip: new Set(), tiedEmbeddings: true, ...changes });
}

/** The dictionary matches the plan's modules with the plan's paths, and no other module of the model. */
function expectDictionaryFits({ units, patternDictionary, basis }: UnitPlan): void {
  const modules = new Set<string>();
  for (const { name } of basis.tensors) {
    const parts = name.split('.');
    for (let end = 1; end < parts.length; end++) modules.add(parts.slice(0, end).join('.'));
  }
  const expected = new Map(units.map(({ module, paths }) => [module, paths]));
  for (const module of modules) {
    const matching = Object.entries(patternDictionary).filter(([pattern]) => {
      const compiled = compileModulePattern(pattern);
      return 'matches' in compiled && compiled.matches(module);
    });
    const paths = expected.get(module);
    expect(
      matching.map(([, list]) => list),
      module,
    ).toEqual(paths ? [paths] : []);
  }
}

function namesOf(tensors: readonly ModelTensor[]): string[] {
  return tensors.map(({ name }) => name);
}

describe('auto', () => {
  test('makes each layer a unit, in the order of published models', () => {
    const { units, remainder, patternDictionary, notes } = plan(LLAMA);
    expect(units.map(({ module, file }) => [module, file])).toEqual([
      ['model.layers.0', 'model_layers_0.safetensors'],
      ['model.layers.1', 'model_layers_1.safetensors'],
      ['model.layers.2', 'model_layers_2.safetensors'],
    ]);
    expect(units[1]?.paths).toEqual(LAYER_PATHS);
    expect(namesOf(units[1]?.tensors ?? [])).toEqual(LAYER_PATHS.map((path) => `model.layers.1.${path}.weight`));
    expect(namesOf(units[1]?.companions ?? [])).toEqual([
      'model.layers.1.input_layernorm.weight',
      'model.layers.1.post_attention_layernorm.weight',
    ]);
    expect(namesOf(remainder)).toEqual(['model.embed_tokens.weight', 'model.norm.weight']);
    expect(patternDictionary).toEqual(OFFICIAL_CONFIG.dfloat11_config.pattern_dict);
    expect(notes).toEqual([]);
  });

  test('adds both embeddings where they are not tied', () => {
    const tensors = llamaTensors({ ...SIZES, tied: false });
    const { patternDictionary, units, remainder } = plan(tensors, { tiedEmbeddings: false });
    expect(patternDictionary).toEqual({
      ...OFFICIAL_CONFIG.dfloat11_config.pattern_dict,
      lm_head: [],
      'model\\.embed_tokens': [],
    });
    expect(units.map(({ file }) => file)).toContain('model_embed_tokens.safetensors');
    expect(namesOf(remainder)).toEqual(['model.norm.weight']);
  });

  test('leaves tied embeddings plain, a stored copy of the output matrix too', () => {
    const { units, remainder } = plan(llamaTensors({ ...SIZES, tied: false }));
    expect(units).toHaveLength(3);
    expect(namesOf(remainder)).toEqual(['model.embed_tokens.weight', 'model.norm.weight', 'lm_head.weight']);
  });

  test('leaves one embedding plain where the other is missing', () => {
    expect(plan(LLAMA, { tiedEmbeddings: false }).units).toHaveLength(3);
  });

  test.each([
    ['skipped', LLAMA, new Set(['model.layers.1.mlp.up_proj.weight'])],
    ['of another dtype', changedTensor('model.layers.1.mlp.up_proj.weight', { dtype: 'F16' }), new Set<string>()],
    ['of one dim', changedTensor('model.layers.1.mlp.up_proj.weight', { shape: [128] }), new Set<string>()],
    ['empty', changedTensor('model.layers.1.mlp.up_proj.weight', { shape: [0, 8] }), new Set<string>()],
  ])('leaves just the tensor plain that is %s', (_, tensors, skip) => {
    const result = plan(tensors, { skip });
    expect(result.patternDictionary).toEqual({
      'model\\.layers\\.(0|2)': LAYER_PATHS,
      'model\\.layers\\.1': LAYER_PATHS.filter((path) => path !== 'mlp.up_proj'),
    });
    expect(namesOf(result.units[1]?.companions ?? [])).toContain('model.layers.1.mlp.up_proj.weight');
    expectDictionaryFits(result);
  });

  test.each(['transformer.h', 'gpt_neox.layers', 'language_model.model.layers', 'model.vision-tower.blocks'])(
    'finds the layers below %s',
    (prefix) => {
      const tensors = placeTensors(
        [0, 1].map((layer) => ({ name: `${prefix}.${layer}.mlp.dense_h_to_4h.weight`, shape: [4, 4] })),
      );
      const result = plan(tensors);
      expect(result.units.map(({ module }) => module)).toEqual([`${prefix}.0`, `${prefix}.1`]);
      expect(Object.keys(result.patternDictionary)).toHaveLength(1);
      expectDictionaryFits(result);
    },
  );

  test('takes maps that it does not know after the usual ones, by name, numbers by value', () => {
    const paths = ['mlp.experts.10.w', 'mlp.experts.9.w', 'mlp.down_proj', 'self_attn.q_proj', 'attn.b'];
    const { units } = plan(
      placeTensors(paths.map((path) => ({ name: `model.layers.0.${path}.weight`, shape: [2, 2] }))),
    );
    expect(units[0]?.paths).toEqual([
      'self_attn.q_proj',
      'mlp.down_proj',
      'attn.b',
      'mlp.experts.9.w',
      'mlp.experts.10.w',
    ]);
  });

  test('leaves routers and maps stored as [in, out] plain', () => {
    const tensors = placeTensors([
      { name: 'model.layers.0.mlp.gate.weight', shape: [4, 8] },
      { name: 'transformer.h.0.attn.c_attn.weight', shape: [8, 24] },
      { name: 'transformer.h.0.mlp.c_fc.weight', shape: [8, 32] },
    ]);
    const { units, notes } = plan(tensors);
    expect(units).toEqual([]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain('"transformer.h.0"');
  });

  test('leaves weights of numbered modules without submodules plain', () => {
    expect(plan(placeTensors([{ name: 'head.0.weight', shape: [4, 4] }])).units).toEqual([]);
  });

  describe('of a layer above 2^31 - 1 elements', () => {
    const big = [2 ** 15, 2 ** 13];
    const names = [
      ...[0, 1, 2].flatMap((expert) => ['gate', 'up', 'down'].map((map) => `mlp.experts.${expert}.${map}_proj`)),
      'self_attn.q_proj',
      'self_attn.o_proj',
      'mlp.shared',
    ];
    const moe = placeTensors([
      ...[0, 1].flatMap((layer) => names.map((path) => ({ name: `model.layers.${layer}.${path}.weight`, shape: big }))),
      { name: 'model.layers.2.self_attn.q_proj.weight', shape: big },
    ]);

    test('makes units of its submodules, none within another', () => {
      const result = plan(moe);
      const modules = result.units.map(({ module }) => module);
      expect(modules.filter((module) => module.startsWith('model.layers.1'))).toEqual([
        'model.layers.1.self_attn',
        'model.layers.1.mlp.experts.0',
        'model.layers.1.mlp.experts.1',
        'model.layers.1.mlp.experts.2',
        'model.layers.1.mlp.shared',
      ]);
      for (const module of modules) expect(modules.some((other) => other.startsWith(`${module}.`))).toBe(false);
      expect(Object.keys(result.patternDictionary)).toEqual([
        'model\\.layers\\.(0|1)\\.self_attn',
        'model\\.layers\\.\\d+\\.mlp\\.experts\\.\\d+',
        'model\\.layers\\.\\d+\\.mlp\\.shared',
        'model\\.layers\\.2',
      ]);
      expectDictionaryFits(result);
    });

    test('can lose some of these again', () => {
      const result = withoutUnits(plan(moe), new Map([['model.layers.1.mlp.experts.1', 'it is too peaky']]));
      expect(Object.keys(result.patternDictionary)).toContain('model\\.layers\\.1\\.mlp\\.experts\\.(0|2)');
      expectDictionaryFits(result);
    });

    test('leaves a single tensor of that size plain', () => {
      const tensors = placeTensors([{ name: 'model.layers.0.self_attn.q_proj.weight', shape: [2 ** 16, 2 ** 15] }]);
      expect(plan(tensors)).toMatchObject({ units: [], notes: [expect.stringContaining('2^31 - 1')] });
    });
  });

  test.each([
    ['a slash', '../evil/x'],
    ['a colon', 'c:evil'],
    ['a control character', 'a\u0000'],
    ['300 characters', 'a'.repeat(300)],
  ])('leaves a module plain whose name makes no file name: %s', (_, prefix) => {
    const tensors = placeTensors([
      { name: `${prefix}.0.q.weight`, shape: [2, 2] },
      { name: 'model.layers.0.q.weight', shape: [2, 2] },
    ]);
    const result = plan(tensors);
    expect(result.units.map(({ module }) => module)).toEqual(['model.layers.0']);
    expect(namesOf(result.remainder)).toEqual([`${prefix}.0.q.weight`]);
    expect(result.notes).toEqual([expect.stringContaining('its name makes no file name')]);
    expectDictionaryFits(result);
  });

  test('plans names of nothing but dots in no time', () => {
    const tensors = placeTensors([{ name: `${'.'.repeat(200_000)}0.x.weight`, shape: [2, 2] }]);
    const started = performance.now();
    expect(plan(tensors).units).toEqual([]);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('refuses a model whose dictionary no reader would take', async () => {
    const tensors = placeTensors(
      Array.from({ length: 10_001 }, (_, layer) => ({ name: `m${layer}x.0.q${layer}.weight`, shape: [1, 1] })),
    );
    const error = await errorOf(() => plan(tensors));
    expect(error.code).toBe('RECIPE_NOT_SUPPORTED');
    expect(error.whatToDo).toContain('split-plane');
  });

  test('refuses modules whose files would have one name, and tensors named like a field', async () => {
    const clash = placeTensors([
      { name: 'a.h.0.x.weight', shape: [2, 2] },
      { name: 'a_h.0.x.weight', shape: [2, 2] },
    ]);
    expect((await errorOf(() => plan(clash))).code).toBe('MODEL_NAME_COLLISION');
    for (const name of ['model.layers.0.gaps', 'other.sign_mantissa', 'other.encoded_exponent']) {
      const error = await errorOf(() => plan([...LLAMA, ...placeTensors([{ name, shape: [2] }])]));
      expect(error.code).toBe('MODEL_NAME_COLLISION');
    }
    expect(plan([...LLAMA, ...placeTensors([{ name: 'other.gaps', shape: [2] }])]).remainder).toHaveLength(3);
  });
});

function changedTensor(name: string, change: Partial<ModelTensor>): ModelTensor[] {
  return LLAMA.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
}

describe('units of a recipe', () => {
  const ATTENTION = { 'model.layers.\\d+': ['self_attn.k_proj', 'self_attn.q_proj'] };

  test('keep pattern and order as written', () => {
    const result = plan(LLAMA, { units: ATTENTION });
    expect(result.patternDictionary).toEqual(ATTENTION);
    expect(result.units[0]?.paths).toEqual(['self_attn.k_proj', 'self_attn.q_proj']);
  });

  test('are written anew where a tensor cannot be coded', () => {
    const result = plan(LLAMA, { units: ATTENTION, skip: new Set(['model.layers.0.self_attn.q_proj.weight']) });
    expect(result.patternDictionary).toEqual({
      'model\\.layers\\.0': ['self_attn.k_proj'],
      'model\\.layers\\.(1|2)': ['self_attn.k_proj', 'self_attn.q_proj'],
    });
    expect(result.notes).toEqual([expect.stringContaining('"model.layers.0.self_attn.q_proj.weight"')]);
    expectDictionaryFits(result);
  });

  test('may be modules with a weight of their own', () => {
    const result = plan(LLAMA, { units: { 'model\\.layers\\.\\d+\\.mlp\\.up_proj': [] } });
    expect(result.units.map(({ tensors }) => namesOf(tensors))[2]).toEqual(['model.layers.2.mlp.up_proj.weight']);
  });

  test('do not hold tied embeddings', () => {
    const result = plan(LLAMA, { units: { 'model\\.embed_tokens': [] } });
    expect(result).toMatchObject({ units: [], patternDictionary: {}, notes: [expect.stringContaining('tied')] });
  });

  test.each([
    ['a pattern outside the grammar', 'RECIPE_INVALID_PATTERN', { '(a+)+': [] }],
    ['a pattern that matches nothing', 'RECIPE_INVALID_PATTERN', { 'model\\.blocks\\.\\d+': [] }],
    ['a path that no module has', 'RECIPE_INVALID_VALUE', { 'model\\.layers\\.\\d+': ['mlp.c_fc'] }],
    ['a module without a weight of its own', 'RECIPE_INVALID_VALUE', { 'model\\.layers\\.\\d+': [] }],
    ['a path twice', 'RECIPE_INVALID_VALUE', { 'model\\.layers\\.\\d+': ['mlp.up_proj', 'mlp.up_proj'] }],
    [
      'two patterns for one module',
      'RECIPE_INVALID_VALUE',
      { 'model\\.layers\\.\\d+': ['mlp.up_proj'], 'model\\.layers\\.1': ['mlp.down_proj'] },
    ],
    [
      'a unit within a unit',
      'RECIPE_INVALID_VALUE',
      { 'model\\.layers\\.\\d+': ['self_attn.q_proj'], 'model\\.layers\\.1\\.mlp': ['up_proj'] },
    ],
  ])('are refused with %s', async (_, code, units) => {
    expect((await errorOf(() => plan(LLAMA, { units }))).code).toBe(code);
  });
});

describe('a refused unit', () => {
  test('becomes plain, its tensors stay with the rest, and no pattern matches it', () => {
    const result = withoutUnits(plan(LLAMA), new Map([['model.layers.1', 'its exponents are too wide']]));
    expect(result.patternDictionary).toEqual({ 'model\\.layers\\.(0|2)': LAYER_PATHS });
    expect(result.notes).toEqual(['Unit "model.layers.1" stays plain: its exponents are too wide.']);
    expect(result.remainder).toHaveLength(2 + 9);
    expectDictionaryFits(result);
  });

  test('of a recipe makes its pattern be written anew', () => {
    const units = { 'model.layers.\\d+': ['mlp.up_proj'] };
    const result = withoutUnits(plan(LLAMA, { units }), new Map([['model.layers.0', 'no']]));
    expect(result.patternDictionary).toEqual({ 'model\\.layers\\.(1|2)': ['mlp.up_proj'] });
  });
});

test('whatever is skipped or refused, patterns fit the units and no tensor is lost', () => {
  const tensors = llamaTensors({ ...SIZES, layers: 5, tied: false });
  const names = fc.subarray(namesOf(tensors));
  const refused = fc.subarray([0, 1, 2, 3, 4].map((layer) => `model.layers.${layer}`));
  fc.assert(
    fc.property(names, refused, fc.boolean(), (skip, modules, tiedEmbeddings) => {
      const first = plan(tensors, { skip: new Set(skip), tiedEmbeddings });
      const result = withoutUnits(first, new Map(modules.map((module) => [module, 'no'])));
      expectDictionaryFits(result);
      const kept = [...result.remainder, ...result.units.flatMap((unit) => [...unit.tensors, ...unit.companions])];
      expect(namesOf(kept).sort()).toEqual(namesOf(tensors).sort());
    }),
    { numRuns: 200 },
  );
});
