import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../core/errors.ts';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf } from './folder-snapshot.ts';
import { writeMixedModel } from './mixed-model.ts';

const SHARD = 'model-00002-of-00002.safetensors';
const INDEX = 'model.safetensors.index.json';
const isWindows = process.platform === 'win32';

describe('compress and inspect refuse a model folder that', () => {
  let shared: string;
  let model: string;
  let place: CompressPlace;

  beforeEach(() => {
    shared = makeFolder('bad-folder');
    model = join(shared, 'model');
    writeMixedModel(model);
    place = new CompressPlace(model, 'dfloat11');
  });

  afterEach(() => {
    place.remove();
    rmSync(shared, { recursive: true, force: true });
  });

  async function expectRefused(code: ErrorCode, exitCode = 3, path = model): Promise<void> {
    const compress = ['compress', path, '-o', place.output, '--recipe', place.recipe];
    for (const run of [await place.run(compress), await place.run(['inspect', path])]) {
      expect(run.json(), run.stderr).toMatchObject({ schema: 1, error: { code } });
      expect(run.code).toBe(exitCode);
    }
    expect(snapshotOf(place.output)).toBeNull();
    expect(place.leftovers()).toEqual([]);
  }

  function replaceWeights(name: string, make: (path: string) => void): void {
    for (const old of [INDEX, SHARD, 'model-00001-of-00002.safetensors']) unlinkSync(join(model, old));
    make(join(model, name));
  }

  it.skipIf(isWindows)('holds pickled weights only, without opening them: a pipe would hold it for ever', async () => {
    execFileSync('mkfifo', [join(shared, 'pipe')]);
    for (const name of ['pytorch_model.bin', 'consolidated.00.pth', 'model.pt', 'model.ckpt', 'weights.pkl']) {
      rmSync(model, { recursive: true });
      mkdirSync(model);
      symlinkSync(join(shared, 'pipe'), join(model, name));
      await expectRefused('MODEL_PICKLE_REFUSED');
    }
  });

  it('holds pickled weights only, whatever their bytes are', async () => {
    replaceWeights('pytorch_model.bin', (path) => writeFileSync(path, '\x80\x04K\x01.'));
    await expectRefused('MODEL_PICKLE_REFUSED');
    await expectRefused('MODEL_PICKLE_REFUSED', 3, join(model, 'pytorch_model.bin'));
  });

  it('is the old DFloat11 layout in pickles', async () => {
    replaceWeights('layer_0.pkl', (path) => writeFileSync(path, '\x80\x04K\x01.'));
    await expectRefused('MODEL_PICKLE_REFUSED');
  });

  it('lacks a shard of its index', async () => {
    unlinkSync(join(model, SHARD));
    await expectRefused('MODEL_SHARD_MISSING');
    await expectRefused('MODEL_SHARD_MISSING', 3, join(model, INDEX));
  });

  it('has an index that leads out of the folder, though the file is there', async () => {
    for (const shard of ['../x.safetensors', 'extras/../../x.safetensors', join(shared, 'x.safetensors')]) {
      renameSync(join(model, SHARD), join(shared, 'x.safetensors'));
      writeFileSync(join(model, INDEX), JSON.stringify({ weight_map: { mask: shard } }));
      await expectRefused('MODEL_FILE_OUTSIDE_FOLDER');
      renameSync(join(shared, 'x.safetensors'), join(model, SHARD));
    }
  });

  it.skipIf(isWindows)('has a shard that is a link to a file outside', async () => {
    renameSync(join(model, SHARD), join(shared, 'elsewhere.safetensors'));
    symlinkSync('../elsewhere.safetensors', join(model, SHARD));
    await expectRefused('MODEL_FILE_OUTSIDE_FOLDER');
  });

  it.skipIf(isWindows)('has another file or folder that is a link to the outside', async () => {
    writeFileSync(join(shared, 'secret'), 'of somebody else');
    symlinkSync(join(shared, 'secret'), join(model, 'extras', 'harmless.txt'));
    await expectRefused('MODEL_FILE_OUTSIDE_FOLDER');
    unlinkSync(join(model, 'extras', 'harmless.txt'));
    mkdirSync(join(shared, 'folder'));
    symlinkSync(join(shared, 'folder'), join(model, 'extras', 'folder'));
    await expectRefused('MODEL_FILE_OUTSIDE_FOLDER');
  });

  it('has a folder where a shard is meant', async () => {
    unlinkSync(join(model, SHARD));
    mkdirSync(join(model, SHARD));
    await expectRefused('MODEL_NOT_A_FILE');
  });

  it('has a folder where its only weight file is meant', async () => {
    replaceWeights('model.safetensors', (path) => mkdirSync(path));
    await expectRefused('MODEL_NOT_A_FILE');
  });

  it.skipIf(isWindows)('has a pipe among its files', async () => {
    execFileSync('mkfifo', [join(model, 'extras', 'pipe')]);
    await expectRefused('MODEL_NOT_A_FILE');
  });

  it('has an index that is not JSON, or names a tensor that its shard lacks', async () => {
    writeFileSync(join(model, INDEX), '{"weight_map"');
    await expectRefused('MODEL_INDEX_INVALID');
    writeFileSync(join(model, INDEX), JSON.stringify({ weight_map: { 'no.such.tensor': SHARD } }));
    await expectRefused('MODEL_TENSOR_MISSING');
  });

  it('holds no weights, or is not there', async () => {
    replaceWeights('weights.txt', (path) => writeFileSync(path, ''));
    await expectRefused('MODEL_UNKNOWN_KIND');
    await expectRefused('MODEL_NOT_FOUND', 1, join(shared, 'nothing'));
  });
});
