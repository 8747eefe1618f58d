import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { InspectedTensor } from '../../../core/contract/results.ts';
import { WorkbenchError } from '../../../core/errors.ts';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

describe.each(CODECS)('a %s folder', (codec) => {
  beforeEach(async () => {
    writeMixedModel(place().at('model'));
    await place().compress(place().at('model'), place().at('coded'), codec);
  });

  it('is not compressed again, nor taken for an original', async () => {
    const again = () => place().compress(place().at('coded'), place().at('out'), codec);
    expect((await errorOf(again)).code).toBe('MODEL_ALREADY_COMPRESSED');
    const against = () => place().verify(place().at('coded'), place().at('coded'));
    expect((await errorOf(against)).code).toBe('MODEL_ALREADY_COMPRESSED');
    const inspect = () =>
      place().engine.inspect({ ...place().options(), model: place().at('coded'), statistics: true });
    expect((await errorOf(inspect)).code).toBe('MODEL_ALREADY_COMPRESSED');
    const [coded, plain] = await Promise.all(
      ['coded', 'model'].map((name) => {
        return place().engine.inspect({ ...place().options(), model: place().at(name), statistics: false });
      }),
    );
    expect(coded).toMatchObject({ format: codec, parameters: plain?.parameters });
    const logical = (tensors: InspectedTensor[] = []) =>
      tensors.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.join()}`).sort();
    expect(logical(coded?.tensors)).toEqual(logical(plain?.tensors));
  });

  it('is the only thing that restore and verify take', async () => {
    expect((await errorOf(() => place().restore(place().at('model'), place().at('out')))).code).toBe(
      'MODEL_NOT_COMPRESSED',
    );
    expect((await errorOf(() => place().verify(place().at('model')))).code).toBe('MODEL_NOT_COMPRESSED');
    expect((await errorOf(() => place().verify(place().at('nowhere')))).code).toBe('MODEL_NOT_FOUND');
  });

  it('has no other dtype to come back in', async () => {
    const call = () => place().restore(place().at('coded'), place().at('out'), { dtype: 'f32' });
    expect((await errorOf(call)).code).toBe('USAGE_INVALID_ARGUMENT');
  });

  it('is told to differ from another model, one that lacks a tensor, has more, or another dtype or shape', async () => {
    const tensor = { name: 'a.weight', dtype: 'F32' as const, shape: [4, 2] };
    const write = (name: string, ...tensors: Parameters<typeof buildSafetensors>[0]['tensors'] & object) =>
      place().write(name, { 'model.safetensors': buildSafetensors({ tensors }) });
    const model = write('small', tensor, { ...tensor, name: 'b' });
    await place().compress(model, place().at('small-coded'), codec);
    const data = Uint8Array.from({ length: 32 }, (_, index) => index ^ 1);
    const others = {
      'a bit is another': write('bits', { ...tensor, data }, { ...tensor, name: 'b' }),
      'a tensor is missing': write('fewer', tensor),
      'a tensor is stored by nobody': write('more', tensor, { ...tensor, name: 'b' }, { ...tensor, name: 'c' }),
      'a shape is another': write('shape', { ...tensor, shape: [2, 4] }, { ...tensor, name: 'b' }),
      'a dtype is another': write('dtype', { ...tensor, dtype: 'I32' }, { ...tensor, name: 'b' }),
    };
    for (const [what, other] of Object.entries(others)) {
      const verified = await place().verify(place().at('small-coded'), other);
      expect(verified, what).toMatchObject({ ok: false, error: { code: 'VERIFY_FAILED' } });
      expect(
        verified.files.every(({ ok }) => ok),
        what,
      ).toBe(true);
    }
    expect((await place().verify(place().at('small-coded'), model)).ok).toBe(true);
  });

  it('is compared with the same model in other shards', async () => {
    await place().compress(place().at('model'), place().at('dfloat11'), 'dfloat11');
    rmSync(place().at('dfloat11/lathe.json'));
    await place().restore(place().at('dfloat11'), place().at('resharded'), { maxShardBytes: 30_000 });
    const verified = await place().verify(place().at('coded'), place().at('resharded'));
    expect(verified.error).toBeUndefined();
    expect(verified.tensors.every(({ bitExact }) => bitExact === true)).toBe(true);
  });

  it('with a changed byte has no tensor called sound that lies in the changed file', async () => {
    const { tensors } = await place().compress(place().at('model'), place().at('coded'), codec, { force: true });
    const file = tensors.find(({ method }) => method !== 'plain')?.file ?? '';
    const bytes = readFileSync(place().at(`coded/${file}`));
    // The last byte is a sign and mantissa: it decodes to another weight without a word.
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(place().at(`coded/${file}`), bytes);
    const verified = await place().verify(place().at('coded'));
    const sound = new Set(verified.tensors.filter(({ ok }) => ok).map(({ name }) => name));
    expect(verified.ok).toBe(false);
    const inFile = tensors.filter((tensor) => tensor.file === file);
    if (codec === 'dfloat11') expect(inFile.filter(({ name }) => sound.has(name))).toEqual([]);
    else expect(inFile.some(({ name }) => !sound.has(name))).toBe(true);
    expect(tensors.filter((tensor) => tensor.file !== file && !sound.has(tensor.name))).toEqual([]);
  });

  it('that lost a file or was changed is told by verify file by file, and by restore', async () => {
    const files = readdirSync(place().at('coded')).filter((name) => name !== 'lathe.json' && name !== 'extras');
    for (const name of files) {
      const path = place().at(`coded/${name}`);
      const bytes = readFileSync(path);
      const changed = Uint8Array.from(bytes);
      changed[changed.length - 1] = changed[changed.length - 1]! ^ 0x40;
      writeFileSync(path, changed);
      const found = await place()
        .verify(place().at('coded'))
        .catch((error: unknown) => error);
      if (found instanceof WorkbenchError) expect(found.code, name).toMatch(/^(FORMAT|MODEL)_/);
      else expect(found, name).toMatchObject({ ok: false, error: { where: { file: name } } });
      rmSync(path);
      const lost = await place()
        .verify(place().at('coded'))
        .catch((error: unknown) => error);
      if (lost instanceof WorkbenchError) expect(lost.code, name).toMatch(/^(FORMAT|MODEL)_/);
      else expect(lost, name).toMatchObject({ ok: false, error: { where: { file: name } } });
      const error = await errorOf(() => place().restore(place().at('coded'), place().at('restored')));
      expect(error.code, name).toMatch(/^(FORMAT|MODEL|VERIFY)_/);
      writeFileSync(path, bytes);
    }
    expect((await place().verify(place().at('coded'))).ok).toBe(true);
  });

  it('whose config names no units any more is not taken for a plain model', async () => {
    place().write('coded', { 'config.json': readFileSync(place().at('model/config.json')) });
    if (codec === 'split-plane') {
      expect((await place().verify(place().at('coded'))).ok).toBe(true);
      return;
    }
    for (const call of [
      () => place().verify(place().at('coded')),
      () => place().restore(place().at('coded'), place().at('restored')),
    ]) {
      expect(await errorOf(call)).toMatchObject({ code: 'MODEL_CONFIG_INVALID', where: { file: 'config.json' } });
    }
  });

  it('says which files in it are not its own', async () => {
    place().write('coded', { 'notes.txt': 'mine' });
    const verified = await place().verify(place().at('coded'));
    expect(verified.ok).toBe(true);
    expect(verified.notes).toEqual(['Not written by Lathe, and not checked: "notes.txt".']);
  });
});
