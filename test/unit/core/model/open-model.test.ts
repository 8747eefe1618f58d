import { describe, expect, test } from 'vitest';
import { openModel } from '../../../../core/model/open-model.ts';
import { buildSafetensors, type TensorSpec } from '../../../helpers/build-safetensors.ts';
import { buildSplitPlane, describeSplitPlane } from '../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles, type MemoryNode } from '../../../helpers/memory-files.ts';

const EMBEDDING: TensorSpec = { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [8, 4] };
const HEAD: TensorSpec = { name: 'lm_head.weight', dtype: 'BF16', shape: [8, 4] };
const NORM: TensorSpec = { name: 'model.norm.weight', dtype: 'F32', shape: [4] };
const SHARD = '/m/model-00002-of-00002.safetensors';
const INDEX = '/m/model.safetensors.index.json';
const CONFIG = JSON.stringify({ architectures: ['LlamaForCausalLM'], tie_word_embeddings: false });

function indexOf(weightMap: Record<string, string>): string {
  return JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap });
}

/** A model of two shards with an index, a config and a file in a subfolder. */
function shardedModel(changes: Record<string, MemoryNode | undefined> = {}): MemoryFiles {
  const nodes: Record<string, MemoryNode | undefined> = {
    '/m/model-00001-of-00002.safetensors': buildSafetensors({ tensors: [EMBEDDING, NORM] }),
    '/m/model-00002-of-00002.safetensors': buildSafetensors({ tensors: [HEAD] }),
    '/m/model.safetensors.index.json': indexOf({
      [EMBEDDING.name]: 'model-00001-of-00002.safetensors',
      [NORM.name]: 'model-00001-of-00002.safetensors',
      [HEAD.name]: 'model-00002-of-00002.safetensors',
    }),
    '/m/config.json': CONFIG,
    '/m/assets/readme.txt': 'hello',
    ...changes,
  };
  const kept = Object.entries(nodes).filter((entry): entry is [string, MemoryNode] => entry[1] !== undefined);
  return new MemoryFiles(Object.fromEntries(kept));
}

describe('a folder', () => {
  test('with an index gives the tensors of its shards, and every other file', async () => {
    const model = await openModel('/m/', shardedModel({ '/m/empty': { kind: 'empty folder' } }));
    expect(model).toMatchObject({ root: '/m', openedAs: 'folder', kind: 'safetensors', notes: [] });
    expect(model).toMatchObject({ indexFile: 'model.safetensors.index.json', configText: CONFIG });
    expect(model.tensors.map(({ name, file }) => [name, file])).toEqual([
      [EMBEDDING.name, 'model-00001-of-00002.safetensors'],
      [NORM.name, 'model-00001-of-00002.safetensors'],
      [HEAD.name, 'model-00002-of-00002.safetensors'],
    ]);
    expect(model.otherFiles).toEqual([
      { path: 'assets/readme.txt', sizeBytes: 5 },
      { path: 'config.json', sizeBytes: CONFIG.length },
      { path: 'model.safetensors.index.json', sizeBytes: expect.any(Number) },
    ]);
    expect(model.emptyFolders).toEqual(['empty']);
    expect(model).toMatchObject({ architecture: 'LlamaForCausalLM', tiedEmbeddings: false, parameters: 68 });
  });

  test('without an index is model.safetensors alone, and says what it leaves aside', async () => {
    const files = new MemoryFiles({
      '/m/model.safetensors': buildSafetensors({ tensors: [NORM] }),
      '/m/consolidated.safetensors': buildSafetensors({ tensors: [NORM] }),
    });
    const model = await openModel('/m', files);
    expect(model.weightFiles.map(({ path }) => path)).toEqual(['model.safetensors']);
    expect(model.otherFiles.map(({ path }) => path)).toEqual(['consolidated.safetensors']);
    expect(model.notes).toEqual(['Not part of the model, kept as other files: "consolidated.safetensors".']);
    expect(model).toMatchObject({ config: null, architecture: null });
  });

  test('with neither is all safetensors files at its top, not those below', async () => {
    const files = new MemoryFiles({
      '/m/b.safetensors': buildSafetensors({ tensors: [NORM] }),
      '/m/a.safetensors': buildSafetensors({ tensors: [HEAD] }),
      '/m/adapter/a.safetensors': buildSafetensors({ tensors: [HEAD] }),
    });
    const model = await openModel('/m', files);
    expect(model.weightFiles.map(({ path }) => path)).toEqual(['a.safetensors', 'b.safetensors']);
  });

  test('with two indexes follows the one with the usual name', async () => {
    const model = await openModel(
      '/m',
      shardedModel({ '/m/model.fp16.safetensors.index.json': indexOf({ x: 'x.safetensors' }) }),
    );
    expect(model.indexFile).toBe('model.safetensors.index.json');
  });

  test('with dfloat11_config takes every safetensors file at its top', async () => {
    const config = JSON.stringify({ dfloat11_config: {} });
    const files = new MemoryFiles({
      '/m/config.json': config,
      '/m/model.safetensors': buildSafetensors({ tensors: [NORM] }),
      '/m/lm_head.safetensors': buildSafetensors({
        tensors: [
          { name: 'lm_head.sign_mantissa', dtype: 'U8', shape: [100] },
          { name: 'lm_head.encoded_exponent', dtype: 'U8', shape: [40] },
        ],
      }),
    });
    const model = await openModel('/m', files);
    expect(model).toMatchObject({ kind: 'dfloat11', parameters: 104 });
    expect(model.weightFiles).toHaveLength(2);
  });

  test('keeps tensors that its index does not name, with a note', async () => {
    const extra = buildSafetensors({ tensors: [HEAD, { ...NORM, name: 'extra' }] });
    const model = await openModel('/m', shardedModel({ '/m/model-00002-of-00002.safetensors': extra }));
    expect(model.tensors.map(({ name }) => name)).toContain('extra');
    expect(model.notes).toEqual([
      '1 stored tensors are not named by "model.safetensors.index.json", the first is "extra"; they are kept.',
    ]);
  });

  test('counts a stored copy of tied embeddings once', async () => {
    const config = JSON.stringify({ model_type: 'llama', tie_word_embeddings: true });
    const model = await openModel('/m', shardedModel({ '/m/config.json': config }));
    expect(model).toMatchObject({ tiedEmbeddings: true, parameters: 36, architecture: 'llama' });
  });

  test('is tied by its files where the config says nothing', async () => {
    const untied = await openModel('/m', shardedModel({ '/m/config.json': '{}' }));
    const tied = await openModel(
      '/m',
      new MemoryFiles({ '/m/model.safetensors': buildSafetensors({ tensors: [EMBEDDING] }) }),
    );
    expect([untied.tiedEmbeddings, tied.tiedEmbeddings]).toEqual([false, true]);
  });

  test('may hold links to files inside itself, and be a link itself', async () => {
    const weights = buildSafetensors({ tensors: [NORM] });
    const files = new MemoryFiles({
      '/link': { linkTo: '/m' },
      '/m/blobs/1': weights,
      '/m/model.safetensors': { linkTo: '/m/blobs/1' },
    });
    const model = await openModel('/link', files);
    expect(model.root).toBe('/m');
    expect(model.weightFiles).toMatchObject([{ path: 'model.safetensors', sizeBytes: weights.length }]);
  });

  test('may have a config with the numbers that only Python writes', async () => {
    const text = '{"model_type": "mamba2", "time_step_limit": [0.0, Infinity], "x": -Infinity, "y": NaN}';
    const model = await openModel('/m', shardedModel({ '/m/config.json': text }));
    expect(model.config).toEqual({ model_type: 'mamba2', time_step_limit: [0, null], x: null, y: null });
    expect(model.configText).toBe(text);
  });
});

describe('a split-plane folder', () => {
  const file = buildSplitPlane(JSON.stringify({ format: 'split-plane', version: 1, ...describeSplitPlane() }));

  test('gives the tensors of its .splane files; its copy of the index is not followed', async () => {
    const files = shardedModel({
      '/m/model-00001-of-00002.safetensors': undefined,
      [SHARD]: undefined,
      '/m/model-00002-of-00002.safetensors.splane': file,
    });
    const model = await openModel('/m', files);
    expect(model).toMatchObject({ kind: 'split-plane', parameters: 4, indexFile: null });
    expect(model.weightFiles.map(({ path }) => path)).toEqual(['model-00002-of-00002.safetensors.splane']);
    expect(model.tensors).toMatchObject([
      { name: 'a', dtype: 'BF16', shape: [2, 2], bytes: 8 },
      { name: 'b', dtype: 'U8', bytes: 0 },
    ]);
    expect(model.otherFiles.map(({ path }) => path)).toContain('model.safetensors.index.json');
  });

  test('may have all its .splane files in subfolders', async () => {
    const files = shardedModel({ '/m/lathe.json': '{}', '/m/parts/1.safetensors.splane': file });
    expect((await openModel('/m', files)).weightFiles.map(({ path }) => path)).toEqual(['parts/1.safetensors.splane']);
  });

  test('may be named by one of its files', async () => {
    const model = await openModel('/m/a.splane', new MemoryFiles({ '/m/a.splane': file }));
    expect(model).toMatchObject({ kind: 'split-plane', openedAs: 'file', otherFiles: [] });
  });
});

describe('a single path', () => {
  test('to a safetensors file opens that file alone, with the facts of the config beside it', async () => {
    const model = await openModel('/m/model-00002-of-00002.safetensors', shardedModel());
    expect(model).toMatchObject({ root: '/m', openedAs: 'file', otherFiles: [], architecture: 'LlamaForCausalLM' });
    expect(model.tensors.map(({ name }) => name)).toEqual([HEAD.name]);
  });

  test('to a shard index opens its shards', async () => {
    const model = await openModel('/m/model.safetensors.index.json', shardedModel());
    expect(model).toMatchObject({ openedAs: 'index', indexFile: 'model.safetensors.index.json', otherFiles: [] });
    expect(model.tensors).toHaveLength(3);
  });
});

const REFUSED: [title: string, code: string, path: string, files: MemoryFiles][] = [
  ['a path that leads nowhere', 'MODEL_NOT_FOUND', '/nothing', shardedModel()],
  ['an empty folder', 'MODEL_UNKNOWN_KIND', '/m', new MemoryFiles({ '/m': { kind: 'empty folder' } })],
  ['a folder without weights', 'MODEL_UNKNOWN_KIND', '/m', new MemoryFiles({ '/m/readme.txt': '' })],
  ['a folder of GGUF files', 'MODEL_UNKNOWN_KIND', '/m', new MemoryFiles({ '/m/a.gguf': '', '/m/b.gguf': '' })],
  ['the one GGUF file of a folder', 'FORMAT_FILE_CUT_SHORT', '/m', new MemoryFiles({ '/m/a.gguf': '' })],
  ['an empty GGUF file', 'FORMAT_FILE_CUT_SHORT', '/m/a.gguf', new MemoryFiles({ '/m/a.gguf': '' })],
  ['a file of no known kind', 'MODEL_UNKNOWN_KIND', '/m/a.txt', new MemoryFiles({ '/m/a.txt': '' })],
  [
    'an unfinished output',
    'MODEL_UNKNOWN_KIND',
    '/m.lathe-partial/out',
    new MemoryFiles({ '/m.lathe-partial/out/model.safetensors': '' }),
  ],
  [
    'a folder of pickles',
    'MODEL_PICKLE_REFUSED',
    '/m',
    new MemoryFiles({ '/m/pytorch_model.bin': '', '/m/config.json': '{}' }),
  ],
  ['a pickle', 'MODEL_PICKLE_REFUSED', '/m/model.PT', new MemoryFiles({ '/m/model.PT': '' })],
  ['an index of pickles', 'MODEL_PICKLE_REFUSED', '/m', shardedModel({ [INDEX]: indexOf({ a: 'pytorch_model.bin' }) })],
  ['a pipe', 'MODEL_NOT_A_FILE', '/m/model.safetensors', new MemoryFiles({ '/m/model.safetensors': { kind: 'pipe' } })],
  ['a pipe in a folder', 'MODEL_NOT_A_FILE', '/m', shardedModel({ '/m/log': { kind: 'pipe' } })],
  ['a folder where a shard is meant', 'MODEL_NOT_A_FILE', '/m', shardedModel({ [SHARD]: { kind: 'empty folder' } })],
  ['a link to a folder', 'MODEL_NOT_A_FILE', '/m', shardedModel({ '/m/loop': { linkTo: '/m/assets' } })],
  ['a link to nothing', 'MODEL_NOT_A_FILE', '/m', shardedModel({ '/m/old': { linkTo: '/m/gone' } })],
  [
    'a link that leads out',
    'MODEL_FILE_OUTSIDE_FOLDER',
    '/m',
    shardedModel({ [SHARD]: { linkTo: '/secret' }, '/secret': 'x' }),
  ],
  [
    'a link to a folder with the same beginning',
    'MODEL_FILE_OUTSIDE_FOLDER',
    '/m',
    shardedModel({ [SHARD]: { linkTo: '/m2/x' }, '/m2/x': 'x' }),
  ],
  [
    'a link out of the folder of an index',
    'MODEL_FILE_OUTSIDE_FOLDER',
    INDEX,
    shardedModel({ [SHARD]: { linkTo: '/secret' }, '/secret': 'x' }),
  ],
  [
    'a shard outside the folder',
    'MODEL_FILE_OUTSIDE_FOLDER',
    '/m',
    shardedModel({ [INDEX]: indexOf({ a: '../x.safetensors' }) }),
  ],
  ['a missing shard', 'MODEL_SHARD_MISSING', '/m', shardedModel({ [SHARD]: undefined })],
  ['a missing shard of a named index', 'MODEL_SHARD_MISSING', INDEX, shardedModel({ [SHARD]: undefined })],
  [
    'an index that names a tensor its shard lacks',
    'MODEL_TENSOR_MISSING',
    '/m',
    shardedModel({ [SHARD]: buildSafetensors({ tensors: [NORM].map((norm) => ({ ...norm, name: 'other' })) }) }),
  ],
  [
    'a tensor stored twice',
    'MODEL_DUPLICATE_TENSOR',
    '/m',
    shardedModel({ [SHARD]: buildSafetensors({ tensors: [HEAD, NORM] }) }),
  ],
  ['an index that is not JSON', 'MODEL_INDEX_INVALID', '/m', shardedModel({ [INDEX]: '{' })],
  ['a config that is not JSON', 'MODEL_CONFIG_INVALID', '/m', shardedModel({ '/m/config.json': '{' })],
  ['a config that is a list', 'MODEL_CONFIG_INVALID', '/m', shardedModel({ '/m/config.json': '[]' })],
  ['an empty .splane file', 'FORMAT_FILE_CUT_SHORT', '/m', shardedModel({ '/m/x.splane': '' })],
  ['an empty weight file', 'FORMAT_FILE_CUT_SHORT', '/m', shardedModel({ [SHARD]: '' })],
];

describe('refuses', () => {
  test.each(REFUSED)('%s', async (_, code, path, files) => {
    expect((await errorOf(() => openModel(path, files))).code).toBe(code);
  });

  test('pickles without opening them, and ignores those beside safetensors', async () => {
    const pickles = new MemoryFiles({ '/m/pytorch_model.bin': 'x' });
    await errorOf(() => openModel('/m', pickles));
    const files = shardedModel({ '/m/training_args.bin': 'x' });
    const model = await openModel('/m', files);
    expect(pickles.reads).toEqual([]);
    expect(files.reads).not.toContain('/m/training_args.bin');
    expect(model.otherFiles).toContainEqual({ path: 'training_args.bin', sizeBytes: 1 });
  });

  test('a download cache made of links with the command that helps', async () => {
    const error = await errorOf(() =>
      openModel('/m', shardedModel({ [SHARD]: { linkTo: '/blobs/1' }, '/blobs/1': 'x' })),
    );
    expect(error.whatToDo).toContain('cp -rL "/m"');
  });
});
