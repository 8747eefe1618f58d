import { cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WorkbenchError } from '../../../core/errors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf, snapshotOutsideHome } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { recipeOf, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

describe('an output', () => {
  beforeEach(() => writeMixedModel(place().at('model')));

  /** A dry run: a check that fails must not cost anybody a folder. */
  function plan(model: string, path: string, force: boolean) {
    const recipe = recipeOf('split-plane');
    return place().engine.estimate({ ...place().options(), model, recipe, output: { path, force } });
  }

  async function expectRefused(code: string, model: string, output: string): Promise<void> {
    const before = snapshotOutsideHome(place().folder);
    for (const force of [false, true]) {
      for (const call of [
        () => plan(model, output, force),
        () => place().compress(model, output, 'split-plane', { force }),
      ]) {
        const error = await errorOf(call);
        expect(error, `${output}: ${error.message}`).toMatchObject({ code });
      }
    }
    expect(snapshotOutsideHome(place().folder)).toEqual(before);
  }

  it('is refused where it is the input, inside it or around it, by whatever path', async () => {
    const model = place().write('around/.', {}) + '/model';
    cpSync(place().at('model'), model, { recursive: true });
    symlinkSync(model, place().at('link'));
    for (const output of [model, `${model}/`, `${model}/extras`, `${model}/new/deep`, place().at('around')]) {
      await expectRefused('USAGE_OUTPUT_IS_INPUT', model, output);
    }
    await expectRefused('USAGE_OUTPUT_IS_INPUT', place().at('link'), model);
    await expectRefused('USAGE_OUTPUT_IS_INPUT', model, place().at('link/new'));
    await expectRefused('USAGE_OUTPUT_IS_INPUT', model, place().at('nowhere/../link/../around/model/x'));
    for (const output of [dirname(place().folder), '/']) {
      expect((await errorOf(() => plan(model, output, true))).code).toMatch(/^USAGE_/);
    }
  });

  it('is refused where it is, holds or lies in a file of the input, or its folder', async () => {
    const shard = place().at('model/model-00001-of-00002.safetensors');
    const index = place().at('model/model.safetensors.index.json');
    for (const input of [shard, index]) {
      await expectRefused('USAGE_OUTPUT_IS_INPUT', input, shard);
      await expectRefused('USAGE_OUTPUT_IS_INPUT', input, place().at('model'));
    }
    await expectRefused('USAGE_OUTPUT_IS_INPUT', index, index);
  });

  it('may lie beside a single weight file', async () => {
    const shard = place().at('model/model-00001-of-00002.safetensors');
    expect((await place().compress(shard, place().at('model/coded'), 'split-plane')).verified).toBe(true);
  });

  it('is refused where it is the root, the home, the current folder, a folder around them or an unfinished one', async () => {
    const model = place().at('model');
    for (const output of [
      '/',
      place().at('a.lathe-partial'),
      place().at('a.lathe-partial/new'),
      realpathSync(homedir()),
      process.cwd(),
      dirname(process.cwd()),
    ]) {
      // The folder around the current one may be around the model too.
      expect(['USAGE_INVALID_ARGUMENT', 'USAGE_OUTPUT_IS_INPUT'], output).toContain(
        (await errorOf(() => plan(model, output, true))).code,
      );
    }
  });

  it('is refused where it is a file, or below one', async () => {
    place().write('.', { file: 'precious' });
    await expectRefused('JOB_OUTPUT_EXISTS', place().at('model'), place().at('file'));
    const below = () => place().compress(place().at('model'), place().at('file/out'), 'split-plane');
    expect((await errorOf(below)).code).toBe('FILE_NOT_FOUND');
    expect(readFileSync(place().at('file'), 'utf8')).toBe('precious');
  });

  it('that exists is refused by every job that writes one, and by a dry run, unless it is empty or may be replaced', async () => {
    const model = place().at('model');
    await place().compress(model, place().at('coded'), 'split-plane');
    place().write('out', { mine: 'precious' });
    const before = snapshotOutsideHome(place().folder);
    for (const call of [
      () => place().compress(model, place().at('out'), 'split-plane'),
      () => place().compress(model, place().at('out'), 'split-plane', { resume: true }),
      () => place().restore(place().at('coded'), place().at('out')),
      () => plan(model, place().at('out'), false),
    ]) {
      expect((await errorOf(call)).code).toBe('JOB_OUTPUT_EXISTS');
    }
    expect((await plan(model, place().at('out'), true)).wouldFail).toBe(false);
    expect(snapshotOutsideHome(place().folder)).toEqual(before);
    mkdirSync(place().at('empty'));
    await place().restore(place().at('coded'), place().at('empty'));
    expect(snapshotOf(place().at('empty'))).toEqual(snapshotOf(model));
    await place().restore(place().at('coded'), place().at('out'), { force: true });
    expect(snapshotOf(place().at('out'))).toEqual(snapshotOf(model));
  });

  it('on which another run works is refused, and that run is not disturbed', async () => {
    const outputs = ['one', 'one', 'one', 'two'].map((name) => place().at(name));
    const results = await Promise.allSettled(
      outputs.map((output) => place().compress(place().at('model'), output, 'dfloat11')),
    );
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as WorkbenchError] : [],
    );
    expect(failures.map(({ code }) => code)).toEqual(['JOB_OUTPUT_BUSY', 'JOB_OUTPUT_BUSY']);
    for (const output of ['one', 'two']) expect((await place().verify(place().at(output))).ok).toBe(true);
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model', 'one', 'two']);
  });
});
