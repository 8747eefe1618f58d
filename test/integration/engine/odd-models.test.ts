import { describe, expect, it } from 'vitest';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { bf16Weights, llamaConfig, llamaLayers } from '../cli/odd-model.ts';
import { CODECS, recipeOf, useWorkplace, type Codec } from './engine-fixture.ts';

type Files = Record<string, string | Uint8Array>;

const place = useWorkplace();

function weights(tensors: TensorSpec[]): Uint8Array {
  return buildSafetensors({ tensors });
}

function matrix(name: string, rows: number, columns: number): TensorSpec {
  return { name, dtype: 'BF16', shape: [rows, columns], data: bf16Weights(rows * columns, name.length + 1) };
}

function indexOf(shards: Record<string, TensorSpec[]>): string {
  const entries = Object.entries(shards).flatMap(([file, tensors]) => tensors.map(({ name }) => [name, file]));
  return JSON.stringify({ weight_map: Object.fromEntries(entries) });
}

const F32: TensorSpec = { name: 'scale', dtype: 'F32', shape: [9] };
const LAYERS = llamaLayers(2, 32);

/** Sound models that a careless program stumbles over. */
const ODD_MODELS: Record<string, Files> = {
  'one file without a config': { 'model.safetensors': weights(LAYERS) },
  'a weight file of another name': { 'weights.safetensors': weights(LAYERS), 'config.json': llamaConfig(2, 32) },
  'no BF16 tensor': { 'model.safetensors': weights([F32]), 'config.json': '{}' },
  'one shard without BF16 and one without tensors': {
    'a.safetensors': weights(LAYERS),
    'b.safetensors': weights([F32]),
    'c.safetensors': weights([]),
  },
  'no tensor at all': { 'model.safetensors': weights([]), 'notes.txt': 'nothing here' },
  'no file but weights without a tensor': { 'model.safetensors': weights([]) },
  'tensors without a dim, without an element, of packed dtypes': {
    'model.safetensors': weights([
      { name: 'step', dtype: 'I64', shape: [] },
      { name: 'one', dtype: 'BF16', shape: [] },
      { name: 'nothing.weight', dtype: 'BF16', shape: [0, 4] },
      { name: 'nobody.weight', dtype: 'BF16', shape: [4, 0] },
      { name: 'four bits', dtype: 'F4', shape: [3, 6] },
      { name: 'six bits', dtype: 'F6_E2M3', shape: [4] },
      { name: 'void', dtype: 'F4', shape: [0] },
    ]),
  },
  'names of no known architecture': {
    'model.safetensors': weights([
      matrix('blocks.0.ff.weight', 8, 64),
      matrix('blocks.0.ff2.weight', 64, 8),
      matrix('blocks.1.ff.weight', 8, 64),
      matrix('weight', 8, 8),
      matrix('.weight', 8, 8),
      matrix('größe 漢字.0.a b.weight', 8, 8),
      matrix(`layers.0.${'long'.repeat(60)}.weight`, 8, 8),
      matrix('a:b/c*.0.q.weight', 8, 8),
      F32,
    ]),
  },
  'GPT-2 names and transposed maps': {
    'model.safetensors': weights([
      matrix('transformer.wte.weight', 50, 16),
      matrix('transformer.h.0.attn.c_attn.weight', 16, 48),
      matrix('transformer.h.0.mlp.c_fc.weight', 16, 64),
      { name: 'transformer.h.0.ln_1.bias', dtype: 'BF16', shape: [16] },
    ]),
  },
  'shards in a subfolder': {
    'parts/one.safetensors': weights(LAYERS),
    'parts/deep/two.safetensors': weights([F32]),
    'model.safetensors.index.json': indexOf({ 'parts/one.safetensors': LAYERS, 'parts/deep/two.safetensors': [F32] }),
    'config.json': llamaConfig(2, 32),
  },
  'other files with the names of temporary, partial and result files': {
    'model.safetensors': weights(LAYERS),
    'config.json': llamaConfig(2, 32),
    'config.json.tmp': 'not temporary',
    'lathe.json': 'not of Lathe',
    'lathe.json.kept': 'kept before',
    'LATHE.JSON.kept.kept': 'twice',
    'lathe.json.tmp': 'precious',
    'run.json': '{}',
    lock: 'none',
    'model.safetensors.splane.moved': 'not moved',
    'sub/model.safetensors': weights([F32]),
    'sub/lathe.json': '{}',
    'new/old/lathe.json.tmp': '',
  },
  'split-plane files below it, and files named like properties': {
    'model.safetensors': weights(LAYERS),
    'config.json': llamaConfig(2, 32),
    'sub/model.safetensors.splane': 'no planes',
    'sub/DEEP.SPLANE': '',
    constructor: 'a file',
    toString: 'another file',
    'sub/__proto__': 'a third',
    __proto__x: '',
  },
  'weight files that its index does not name': {
    'model-1.safetensors': weights(LAYERS),
    'model.safetensors': weights([F32]),
    'model_layers_0.safetensors': 'no weights at all',
    'model_layers_0.safetensors.kept': 'no weights either',
    'model.safetensors.index.json': indexOf({ 'model-1.safetensors': LAYERS }),
    'other.safetensors.index.json': '{}',
    'config.json': llamaConfig(2, 32),
  },
  'names that differ in capitals alone': {
    'model.safetensors': weights(LAYERS),
    'Config.json': 'not the config',
    'README.md': 'one',
    'readme.md': 'two',
  },
};

async function expectRoundTrip(model: string, codec: Codec): Promise<void> {
  const before = snapshotOf(model);
  await place().compress(model, place().at('coded'), codec);
  for (const against of [null, model]) {
    const verified = await place().verify(place().at('coded'), against);
    expect(verified.error).toBeUndefined();
    expect(verified.tensors.every(({ ok, bitExact }) => ok && bitExact === true)).toBe(true);
    expect(verified.notes.filter((note) => note.startsWith('Not written by Lathe'))).toEqual([]);
  }
  const restored = await place().restore(place().at('coded'), place().at('restored'));
  expect(restored.filesIdentical).toBe(true);
  expect(snapshotOf(place().at('restored'))).toEqual(before);
  expect(snapshotOf(model)).toEqual(before);
}

describe.each(CODECS)('%s brings back', (codec) => {
  it.each(Object.keys(ODD_MODELS))('a model of %s', async (name) => {
    await expectRoundTrip(place().write('model', ODD_MODELS[name] ?? {}), codec);
  });

  it('the files of an index, and nothing else of its folder', async () => {
    const model = place().at('model');
    writeMixedModel(model);
    await place().compress(`${model}/model.safetensors.index.json`, place().at('coded'), codec);
    expect((await place().verify(place().at('coded'), model)).error).toBeUndefined();
    const restored = await place().restore(place().at('coded'), place().at('restored'));
    const names = [1, 2].map((shard) => `model-0000${shard}-of-00002.safetensors`);
    const expected = [...names, 'model.safetensors.index.json'];
    expect(restored).toMatchObject({ filesIdentical: true });
    expect(restored.files.map(({ name }) => name)).toEqual(expected);
    const original = snapshotOf(model);
    expect(snapshotOf(place().at('restored'))).toEqual(
      Object.fromEntries(expected.map((path) => [path, original?.[path]])),
    );
  });

  it('one weight file, and nothing else of its folder', async () => {
    const model = place().at('model');
    writeMixedModel(model);
    const name = 'model-00002-of-00002.safetensors';
    await place().compress(`${model}/${name}`, place().at('coded'), codec);
    const restored = await place().restore(place().at('coded'), place().at('restored'));
    expect(restored.filesIdentical).toBe(true);
    expect(snapshotOf(place().at('restored'))).toEqual({ [name]: snapshotOf(model)?.[name] });
  });

  it('tensors that the recipe leaves as they are, stored plain, and says if an override matches nothing', async () => {
    const model = place().at('model');
    writeMixedModel(model);
    const recipe = recipeOf(codec, { skip: ['layers\\.0\\.', 'lm_head', 'no such tensor'] });
    const { tensors, notes } = await place().compress(model, place().at('coded'), recipe);
    const skipped = tensors.filter(({ name }) => /layers\.0\.|lm_head/.test(name));
    expect(skipped).toHaveLength(10);
    expect(skipped.filter(({ bitsPerWeight, dtype }) => bitsPerWeight !== (dtype === 'F32' ? 32 : 16))).toEqual([]);
    expect(notes.filter((note) => note.includes('no such tensor'))).toHaveLength(1);
    await place().restore(place().at('coded'), place().at('restored'));
    expect(snapshotOf(place().at('restored'))).toEqual(snapshotOf(model));
  });
});
