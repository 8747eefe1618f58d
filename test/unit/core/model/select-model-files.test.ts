import { describe, expect, test } from 'vitest';
import type { FileAccess } from '../../../../core/model/file-access.ts';
import { selectModelFiles } from '../../../../core/model/select-model-files.ts';
import { MAX_CONFIG_BYTES } from '../../../../core/model/model-config.ts';
import { MAX_SHARD_INDEX_BYTES } from '../../../../core/formats/safetensors/shard-index.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles, type MemoryNode } from '../../../helpers/memory-files.ts';

const INDEX = JSON.stringify({ weight_map: { a: '1.safetensors', b: 'parts/2.safetensors' } });

async function weightsOf(path: string, nodes: Record<string, MemoryNode>) {
  const files = await selectModelFiles(path, new MemoryFiles(nodes));
  if (files.kind === 'gguf') throw new Error('opened as GGUF');
  const { kind, openedAs, weights, otherFiles } = files;
  return { kind, openedAs, weights: weights.map((file) => file.path), others: otherFiles.map((file) => file.path) };
}

describe('of a folder, the weights are', () => {
  test.each<[string, Record<string, MemoryNode>, string, string[], string[]]>([
    [
      'the shards of its index, in subfolders too',
      {
        '/m/m.safetensors.index.json': INDEX,
        '/m/1.safetensors': '',
        '/m/parts/2.safetensors': '',
        '/m/x.safetensors': '',
      },
      'safetensors',
      ['1.safetensors', 'parts/2.safetensors'],
      ['m.safetensors.index.json', 'x.safetensors'],
    ],
    [
      'model.safetensors alone',
      { '/m/model.safetensors': '', '/m/a.safetensors': '' },
      'safetensors',
      ['model.safetensors'],
      ['a.safetensors'],
    ],
    [
      'else every safetensors file at its top',
      { '/m/b.safetensors': '', '/m/a.safetensors': '' },
      'safetensors',
      ['a.safetensors', 'b.safetensors'],
      [],
    ],
    [
      'every safetensors file at its top where the config speaks of DFloat11, in whatever way',
      { '/m/model.safetensors': '', '/m/a.safetensors': '', '/m/config.json': '{"dfloat11_config":null}' },
      'dfloat11',
      ['a.safetensors', 'model.safetensors'],
      ['config.json'],
    ],
    [
      'its .splane files, safetensors files or not',
      { '/m/a.splane': '', '/m/model.safetensors': '' },
      'split-plane',
      ['a.splane'],
      ['model.safetensors'],
    ],
    [
      'no .splane files of a subfolder that nobody speaks of',
      { '/m/sub/a.splane': '', '/m/model.safetensors': '' },
      'safetensors',
      ['model.safetensors'],
      ['sub/a.splane'],
    ],
  ])('%s', async (_, nodes, kind, weights, others) => {
    expect(await weightsOf('/m', nodes)).toEqual({ kind, openedAs: 'folder', weights, others });
  });
});

test('several indexes without the usual name are not followed', async () => {
  const nodes = { '/m/a.safetensors.index.json': INDEX, '/m/b.safetensors.index.json': INDEX, '/m/x.safetensors': '' };
  expect((await weightsOf('/m', nodes)).weights).toEqual(['x.safetensors']);
});

test.each(['/m/', '/m//', '/m'])('the path "%s" names the folder', async (path) => {
  expect((await weightsOf(path, { '/m/model.safetensors': '' })).openedAs).toBe('folder');
});

describe('a config beside a single file', () => {
  test('tells that its file is of DFloat11', async () => {
    const nodes = { '/m/a.safetensors': '', '/m/config.json': '{"dfloat11_config":{}}' };
    expect(await weightsOf('/m/a.safetensors', nodes)).toMatchObject({
      kind: 'dfloat11',
      openedAs: 'file',
      others: [],
    });
  });

  test('is not read where it is a folder', async () => {
    const nodes = { '/m/a.safetensors': '', '/m/config.json/x': '' };
    expect((await weightsOf('/m/a.safetensors', nodes)).kind).toBe('safetensors');
  });

  test('is refused where it leads out of the folder', async () => {
    const files = new MemoryFiles({ '/m/a.safetensors': '', '/m/config.json': { linkTo: '/x' }, '/x': '{}' });
    expect((await errorOf(() => selectModelFiles('/m/a.safetensors', files))).code).toBe('MODEL_FILE_OUTSIDE_FOLDER');
  });
});

test('an unfinished output is opened by its own job alone', async () => {
  const files = new MemoryFiles({ '/m.lathe-partial/new/model.safetensors': '' });
  expect((await errorOf(() => selectModelFiles('/m.lathe-partial/new', files))).code).toBe('MODEL_UNKNOWN_KIND');
  expect(await selectModelFiles('/m.lathe-partial/new', files, true)).toMatchObject({ kind: 'safetensors' });
});

/** Files of which one has a size, but cannot be read. */
function withHugeFile(path: string, sizeBytes: number, nodes: Record<string, MemoryNode>): FileAccess {
  const files = new MemoryFiles({ ...nodes, [path]: '' });
  return {
    stat: async (other) => (other === path ? { kind: 'file', sizeBytes } : files.stat(other)),
    list: (folder) => files.list(folder),
    read: (other, ...range) => (other === path ? Promise.reject(new Error('read')) : files.read(other, ...range)),
    realPath: (other) => files.realPath(other),
  };
}

describe('refuses before it reads', () => {
  test.each([
    ['a config', 'MODEL_CONFIG_INVALID', '/m/config.json', MAX_CONFIG_BYTES],
    ['an index', 'MODEL_INDEX_INVALID', '/m/model.safetensors.index.json', MAX_SHARD_INDEX_BYTES],
  ])('%s beyond its limit', async (_, code, path, limit) => {
    const files = withHugeFile(path, limit + 1, { '/m/model.safetensors': '' });
    expect((await errorOf(() => selectModelFiles('/m', files))).code).toBe(code);
  });
});
