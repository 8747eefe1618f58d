import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openModel, type SafetensorsModel } from '../../../core/model/open-model.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, useWorkplace, type Codec } from './engine-fixture.ts';

const place = useWorkplace();
const INDEX = 'model.safetensors.index.json';

async function openPlain(path: string): Promise<SafetensorsModel> {
  const model = await openModel(path, nodeFileAccess);
  if (model.kind !== 'safetensors') throw new Error(`${path} is a ${model.kind} model`);
  return model;
}

/** Every tensor of a model, sorted by name, with its bytes in base64. */
async function tensorsOf(path: string) {
  const { tensors, root } = await openPlain(path);
  return tensors
    .map(({ name, dtype, shape, file, offsetBytes, sizeBytes }) => {
      const data = readFileSync(join(root, file)).subarray(offsetBytes, offsetBytes + sizeBytes);
      return { name, dtype, shape, data: data.toString('base64') };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function codeAndLose(codec: Codec): Promise<void> {
  writeMixedModel(place().at('model'));
  await place().compress(place().at('model'), place().at('coded'), codec);
  rmSync(place().at('coded/lathe.json'));
}

describe('a DFloat11 folder that has lost its lathe.json', () => {
  beforeEach(() => codeAndLose('dfloat11'));

  it('comes back with every tensor exact, in one file, and a config for plain weights', async () => {
    const restored = await place().restore(place().at('coded'), place().at('restored'));
    expect(restored).toMatchObject({ lossless: true, filesIdentical: false });
    expect(restored.notes.join()).toContain('every tensor comes back exactly');
    expect(await tensorsOf(place().at('restored'))).toEqual(await tensorsOf(place().at('model')));
    const [config, original] = ['restored', 'model'].map((name) => {
      return JSON.parse(readFileSync(place().at(`${name}/config.json`), 'utf8')) as unknown;
    });
    expect(config).toEqual(original);
    const others = Object.entries(snapshotOf(place().at('restored')) ?? {}).filter(([path]) =>
      /README|extras/.test(path),
    );
    expect(others).toHaveLength(6);
    for (const [path, digest] of others) expect(snapshotOf(place().at('model'))?.[path]).toBe(digest);
  });

  it('is cut into shards of the size asked for, with a sound index', async () => {
    const maxShardBytes = 40_000;
    await place().restore(place().at('coded'), place().at('restored'), { maxShardBytes, threads: 2 });
    const model = await openPlain(place().at('restored'));
    expect(model.indexFile).toBe(INDEX);
    expect(model.notes).toEqual([]);
    expect(model.weightFiles.length).toBeGreaterThan(4);
    const index = JSON.parse(readFileSync(place().at(`restored/${INDEX}`), 'utf8')) as Record<string, unknown>;
    const dataBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(index['metadata']).toEqual({ total_size: dataBytes });
    expect(index['weight_map']).toEqual(Object.fromEntries(model.tensors.map(({ name, file }) => [name, file])));
    for (const { sizeBytes, header } of model.weightFiles) {
      const isAlone = header.tensors.length === 1;
      expect(isAlone || sizeBytes - header.headerBytes <= maxShardBytes).toBe(true);
    }
    expect(await tensorsOf(place().at('restored'))).toEqual(await tensorsOf(place().at('model')));
  });

  it('has the same bytes again when it is restored again', async () => {
    for (const name of ['one', 'two']) {
      await place().restore(place().at('coded'), place().at(name), { maxShardBytes: 50_000, threads: name.length });
    }
    expect(snapshotOf(place().at('one'))).toEqual(snapshotOf(place().at('two')));
  });

  it('is verified against the original; without it nothing says what its files were', async () => {
    const against = await place().verify(place().at('coded'), place().at('model'));
    expect(against.error).toBeUndefined();
    expect(against.tensors.every(({ ok, bitExact }) => ok && bitExact === true)).toBe(true);
    const alone = await place().verify(place().at('coded'));
    expect(alone).toMatchObject({ ok: true, against: null });
    expect(alone.notes.join()).toContain('lathe.json');
    expect(alone.tensors.every(({ ok, bitExact }) => ok && bitExact === null)).toBe(true);
    expect(alone.files.every(({ ok }) => ok === null)).toBe(true);
  });

  it('is refused with a shard size that can hold nothing', async () => {
    const error = await errorOf(() => place().restore(place().at('coded'), place().at('out'), { maxShardBytes: 0 }));
    expect(error.code).toBe('USAGE_INVALID_ARGUMENT');
  });
});

describe('a split-plane folder that has lost its lathe.json', () => {
  beforeEach(() => codeAndLose('split-plane'));

  it('comes back file by file all the same, empty folders left out', async () => {
    const restored = await place().restore(place().at('coded'), place().at('restored'));
    expect(restored.notes.join()).toContain('no "lathe.json"');
    const { empty, ...expected } = snapshotOf(place().at('model')) ?? {};
    expect(empty).toBe('folder');
    expect(snapshotOf(place().at('restored'))).toEqual(expected);
    const weights = restored.files.filter(({ name }) => name.endsWith('.safetensors'));
    expect(weights.map(({ name, sha256 }) => [name, sha256])).toEqual(
      Object.entries(expected).filter(([path]) => path.endsWith('.safetensors')),
    );
  });

  it('verifies each tensor by the hash that its file has of it', async () => {
    const verified = await place().verify(place().at('coded'));
    expect(verified.ok).toBe(true);
    expect(verified.tensors.every(({ bitExact }) => bitExact === true)).toBe(true);
  });

  it('is refused where another file has the name of one to be restored', async () => {
    place().write('coded', { 'model-00001-of-00002.safetensors': 'in the way' });
    const error = await errorOf(() => place().restore(place().at('coded'), place().at('restored')));
    expect(error.code).toBe('MODEL_NAME_COLLISION');
  });

  it('comes back from one file alone', async () => {
    const name = 'model-00002-of-00002.safetensors';
    await place().restore(place().at(`coded/${name}.splane`), place().at('restored'));
    expect(snapshotOf(place().at('restored'))).toEqual({ [name]: snapshotOf(place().at('model'))?.[name] });
  });
});

describe.each(CODECS)('a %s folder with its lathe.json', (codec) => {
  it('says that a size of shards does not apply, and comes back as it was', async () => {
    writeMixedModel(place().at('model'));
    await place().compress(place().at('model'), place().at('coded'), codec);
    const restored = await place().restore(place().at('coded'), place().at('restored'), { maxShardBytes: 9 });
    expect(restored.notes).toEqual(['The original files come back as they were: no size of shards applies.']);
    expect(snapshotOf(place().at('restored'))).toEqual(snapshotOf(place().at('model')));
  });
});
