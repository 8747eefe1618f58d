import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compileModulePattern, newMatchBudget } from '../../../core/formats/dfloat11/module-pattern.ts';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { llamaConfig, llamaLayers } from '../cli/odd-model.ts';
import { snapshotOf, snapshotOutsideHome } from '../lossless/folder-snapshot.ts';
import { recipeOf, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();
const WIDTH = 32;
const NAN = 0x7fc0;
/** 2^113: its exponent field is 240. */
const TOO_LARGE = 240 << 7;

/** A Llama of 3 layers, some of its weights set to these bits. */
function writeLlama(bits: Record<string, number | 'all alike'>): string {
  const tensors = llamaLayers(3, WIDTH).map((tensor): TensorSpec => {
    const change = bits[tensor.name];
    if (change === undefined || !tensor.data) return tensor;
    const words = new Uint16Array(tensor.data.slice().buffer);
    if (change === 'all alike') words.fill(0x3f80);
    else words[words.length >> 1] = change;
    return { ...tensor, data: new Uint8Array(words.buffer) };
  });
  return place().write('model', {
    'model.safetensors': buildSafetensors({ tensors }),
    'config.json': llamaConfig(3, WIDTH),
  });
}

/** The dictionary's patterns and the modules that each matches. */
function matchedModules(modules: string[]): Record<string, string[]> {
  const config = JSON.parse(readFileSync(place().at('coded/config.json'), 'utf8')) as {
    dfloat11_config: { pattern_dict: Record<string, string[]> };
  };
  const budget = newMatchBudget();
  return Object.fromEntries(
    Object.keys(config.dfloat11_config.pattern_dict).map((text) => {
      const pattern = compileModulePattern(text);
      if ('problem' in pattern) throw new Error(`${text} ${pattern.problem}`);
      return [text, modules.filter((module) => pattern.matches(module, budget))];
    }),
  );
}

const LAYERS = [0, 1, 2].map((layer) => `model.layers.${layer}`);

async function expectRoundTrip(): Promise<void> {
  expect((await place().verify(place().at('coded'), place().at('model'))).error).toBeUndefined();
  await place().restore(place().at('coded'), place().at('restored'));
  expect(snapshotOf(place().at('restored'))).toEqual(snapshotOf(place().at('model')));
}

/** Every matrix of these layers has a weight of these bits. */
function everyMatrix(bits: number, layers = [1]): Record<string, number> {
  const names = llamaLayers(3, WIDTH).map(({ name }) => name);
  const isIn = (name: string) => name.includes('proj') && layers.some((layer) => name.includes(`layers.${layer}.`));
  return Object.fromEntries(names.filter(isIn).map((name) => [name, bits]));
}

describe('a tensor that DFloat11 cannot hold', () => {
  it.each([
    ['a NaN', NAN],
    ['a weight of 2^113', TOO_LARGE],
  ])('for %s stays plain in the file of its unit, with a note, and its unit goes on without it', async (_, bits) => {
    const refused = 'model.layers.1.mlp.up_proj.weight';
    const model = writeLlama({ [refused]: bits });
    const { tensors, notes } = await place().compress(model, place().at('coded'), 'dfloat11');
    const matrices = tensors.filter(({ name }) => name.includes('proj'));
    expect(matrices.filter(({ method }) => method === 'plain')).toMatchObject([
      { name: refused, file: 'model_layers_1.safetensors' },
    ]);
    expect(notes.filter((note) => note.includes(`"${refused}" stays plain`))).toHaveLength(1);
    expect(Object.values(matchedModules(LAYERS)).flat().sort()).toEqual(LAYERS);
    await expectRoundTrip();
  });
});

describe('a unit that DFloat11 cannot hold', () => {
  it.each([
    ['a NaN', NAN],
    ['a weight of 2^113', TOO_LARGE],
  ])('for %s in every tensor stays plain, with a note, and no pattern matches it', async (_, bits) => {
    const model = writeLlama(everyMatrix(bits));
    const { tensors, notes } = await place().compress(model, place().at('coded'), 'dfloat11');
    const plain = tensors.filter(({ method }) => method === 'plain').map(({ name }) => name);
    expect(plain.filter((name) => name.startsWith('model.layers.1.'))).toHaveLength(8);
    expect(plain.filter((name) => !name.startsWith('model.layers.1.'))).toHaveLength(2);
    expect(notes.filter((note) => note.includes('"model.layers.1" stays plain'))).toHaveLength(1);
    expect(Object.values(matchedModules(LAYERS)).flat()).toEqual(['model.layers.0', 'model.layers.2']);
    expect(Object.keys(snapshotOf(place().at('coded')) ?? {})).not.toContain('model_layers_1.safetensors');
    await expectRoundTrip();
  });

  it('leaves a model plain altogether where no unit can be held', async () => {
    const model = writeLlama(everyMatrix(NAN, [0, 1, 2]));
    const { tensors, notes } = await place().compress(model, place().at('coded'), 'dfloat11');
    expect(new Set(tensors.map(({ method }) => method))).toEqual(new Set(['plain']));
    expect(notes).toHaveLength(3);
    expect(matchedModules(LAYERS)).toEqual({});
    await expectRoundTrip();
  });

  it.each([
    ['"model.layers.1" stays plain', everyMatrix(NAN)],
    ['"model.layers.1.mlp.up_proj.weight" stays plain', { 'model.layers.1.mlp.up_proj.weight': NAN }],
  ])('is the same in the estimate: %s', async (note, bits) => {
    const model = writeLlama(bits);
    const recipe = recipeOf('dfloat11');
    const estimated = await place().engine.estimate({ ...place().options(), model, recipe, output: null });
    const { storedBytes } = await place().compress(model, place().at('coded'), recipe);
    expect(estimated.problems.map(({ message }) => message).join()).toContain(note);
    expect(estimated.storedBytes).toBe(storedBytes);
  });
});

describe('units', () => {
  it('of one exponent alone have a code of our own, and the notes say so', async () => {
    const names = llamaLayers(1, WIDTH).map(({ name }) => name);
    const model = writeLlama(Object.fromEntries(names.map((name) => [name, 'all alike'])));
    const { notes } = await place().compress(model, place().at('coded'), 'dfloat11');
    expect(notes.filter((note) => note.includes("a code of Lathe's own"))).toHaveLength(1);
    await expectRoundTrip();
  });

  it('are those that the recipe names by patterns, which stand in the config as they were written', async () => {
    const model = writeLlama({});
    const units = {
      'model\\.layers\\.[02]\\.mlp': ['down_proj', 'up_proj'],
      'model\\.layers\\.1': ['self_attn.q_proj'],
    };
    const { tensors } = await place().compress(model, place().at('coded'), recipeOf('dfloat11', { units }));
    const coded = tensors.filter(({ method }) => method === 'dfloat11').map(({ name }) => name);
    expect(coded.sort()).toEqual([
      'model.layers.0.mlp.down_proj.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.1.self_attn.q_proj.weight',
      'model.layers.2.mlp.down_proj.weight',
      'model.layers.2.mlp.up_proj.weight',
    ]);
    const modules = [...LAYERS, ...LAYERS.map((layer) => `${layer}.mlp`)];
    expect(matchedModules(modules)).toEqual({
      'model\\.layers\\.[02]\\.mlp': ['model.layers.0.mlp', 'model.layers.2.mlp'],
      'model\\.layers\\.1': ['model.layers.1'],
    });
    await expectRoundTrip();
  });

  it('that only some of a pattern can be are matched by another pattern', async () => {
    const model = writeLlama({
      'model.layers.2.mlp.down_proj.weight': NAN,
      'model.layers.2.mlp.up_proj.weight': NAN,
    });
    const units = { 'model\\.layers\\.\\d+\\.mlp': ['down_proj', 'up_proj'] };
    await place().compress(model, place().at('coded'), recipeOf('dfloat11', { units }));
    const modules = LAYERS.map((layer) => `${layer}.mlp`);
    expect(Object.values(matchedModules(modules)).flat()).toEqual(modules.slice(0, 2));
    await expectRoundTrip();
  });

  it.each<[string, string, Record<string, string[]>]>([
    ['is no pattern', 'RECIPE_INVALID_PATTERN', { 'model\\.layers\\.(': ['mlp.up_proj'] }],
    ['matches nothing', 'RECIPE_INVALID_PATTERN', { 'decoder\\.\\d+': ['mlp.up_proj'] }],
    ['names what no layer has', 'RECIPE_INVALID_VALUE', { 'model\\.layers\\.\\d+': ['mlp.side_proj'] }],
  ])('by a pattern that %s are refused before anything is written', async (_, code, units) => {
    const model = writeLlama({});
    const before = snapshotOutsideHome(place().folder);
    const recipe = recipeOf('dfloat11', { units });
    expect((await errorOf(() => place().compress(model, place().at('coded'), recipe))).code).toBe(code);
    const estimate = () => place().engine.estimate({ ...place().options(), model, recipe, output: null });
    expect((await errorOf(estimate)).code).toBe(code);
    expect(snapshotOutsideHome(place().folder)).toEqual(before);
  });

  it('of tied embeddings stay plain', async () => {
    const embedding = llamaLayers(1, WIDTH)[1]!;
    const tensors = [...llamaLayers(1, WIDTH), { ...embedding, name: 'model.embed_tokens.weight' }];
    for (const tied of [true, false]) {
      const files = {
        'model.safetensors': buildSafetensors({ tensors: [...tensors, { ...embedding, name: 'lm_head.weight' }] }),
        'config.json': JSON.stringify({ ...(JSON.parse(llamaConfig(1, WIDTH)) as object), tie_word_embeddings: tied }),
      };
      const result = await place().compress(place().write('model', files), place().at('coded'), 'dfloat11', {
        force: true,
      });
      const methodOf = (name: string) => result.tensors.find((tensor) => tensor.name === name)?.method;
      const expected = tied ? 'plain' : 'dfloat11';
      expect([methodOf('model.embed_tokens.weight'), methodOf('lm_head.weight')]).toEqual([expected, expected]);
      expect((await place().verify(place().at('coded'), place().at('model'))).ok).toBe(true);
    }
  });
});

describe('a model whose tensors are named like fields of DFloat11', () => {
  const tensors: TensorSpec[] = [{ name: 'a.sign_mantissa', dtype: 'U8', shape: [4] }, ...llamaLayers(1, WIDTH)];

  it('is refused by DFloat11, coded by split-plane, and inspect says that DFloat11 cannot hold it', async () => {
    const model = place().write('model', { 'model.safetensors': buildSafetensors({ tensors }) });
    const error = await errorOf(() => place().compress(model, place().at('coded'), 'dfloat11'));
    expect(error.code).toBe('MODEL_NAME_COLLISION');
    const inspected = await place().engine.inspect({ ...place().options(), model, statistics: true });
    expect(inspected.losslessEstimate?.dfloat11Bytes).toBeNull();
    expect(inspected.notes.join()).toContain('DFloat11 cannot hold this model');
    const coded = await place().compress(model, place().at('coded'), 'split-plane');
    expect(Math.abs(coded.storedBytes / inspected.losslessEstimate!.splitPlaneBytes - 1)).toBeLessThan(0.02);
    await expectRoundTrip();
  });
});
