import { mkdirSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WorkbenchError } from '../../../core/errors.ts';
import { makeFolders, syncFolder, writeFileDurably } from '../../../workers/engine/durable-files.ts';
import { toFileError, wrapFileErrors } from '../../../workers/engine/file-errors.ts';
import { openEngine } from '../../../workers/engine/index.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { recipeOf, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();
const MIB = 2 ** 20;

describe('memory', () => {
  it('has fewer threads where the limit asks for it, and says so, and a job is refused that does not fit', async () => {
    writeMixedModel(place().at('model'));
    const compress = (memoryLimitBytes: number) =>
      place().compress(place().at('model'), place().at('out'), 'split-plane', {
        threads: 64,
        memoryLimitBytes,
        force: true,
      });
    expect((await compress(256 * MIB)).verified).toBe(true);
    expect(place().events.filter(({ event }) => event === 'note')).toMatchObject([
      { message: expect.stringMatching(/^Using \d+ of 64 threads/) as string },
    ]);
    const error = await errorOf(() => compress(64 * MIB));
    expect(error.code).toBe('RESOURCE_MEMORY_LIMIT');
    const needed = Number(/(\d+)MiB/.exec(error.whatToDo)?.[1]);
    expect((await compress(needed * MIB)).verified).toBe(true);
    expect((await errorOf(() => compress((needed - 1) * MIB))).code).toBe('RESOURCE_MEMORY_LIMIT');
  });
});

describe('without its kernels the engine', () => {
  it('says so in every job that needs them, inspects all the same, and the doctor tells it', async () => {
    writeMixedModel(place().at('model'));
    const engine = openEngine({ kernelsPath: place().at('none.node'), home: place().home });
    const options = place().options();
    const model = place().at('model');
    for (const call of [
      () => engine.compress(place().compressOptions(model, place().at('out'), 'dfloat11')),
      () => engine.restore(place().restoreOptions(model, place().at('out'))),
      () => engine.verify({ ...options, model, against: null }),
      () => engine.estimate({ ...options, model, recipe: recipeOf('dfloat11'), output: null }),
      () => engine.inspect({ ...options, model, statistics: true }),
    ]) {
      expect((await errorOf(call)).code).toBe('KERNEL_UNAVAILABLE');
    }
    expect((await engine.inspect({ ...options, model, statistics: false })).format).toBe('safetensors');
    const { problems, kernels } = await engine.doctor();
    expect(kernels.backend).toBe('none');
    expect(problems.map(({ message }) => message).join()).toContain('none.node');
  });

  it('with them the doctor has nothing to say about them, and tells a home that cannot be written', async () => {
    expect((await place().engine.doctor()).kernels.backends).not.toEqual([]);
    place().write('.', { file: '' });
    const kernelsPath = join(process.cwd(), 'dist/native/lathe-kernels.node');
    const engine = openEngine({ kernelsPath, home: place().at('file/home') });
    expect((await engine.doctor()).problems.map(({ whatToDo }) => whatToDo).join()).toContain('LATHE_HOME');
  });
});

describe('files', () => {
  it('of the system are refused by what the system says of them', () => {
    const codes = { ENOENT: 'FILE_NOT_FOUND', ENOTDIR: 'FILE_NOT_FOUND', EACCES: 'FILE_PERMISSION_DENIED' };
    const more = { EPERM: 'FILE_PERMISSION_DENIED', EROFS: 'FILE_PERMISSION_DENIED', ENOSPC: 'RESOURCE_DISK_FULL' };
    const rest = { EDQUOT: 'RESOURCE_DISK_FULL', EMFILE: 'FILE_IO', EIO: 'FILE_IO', '': 'FILE_IO' };
    for (const [system, code] of Object.entries({ ...codes, ...more, ...rest })) {
      const cause = Object.assign(new Error('text'), { code: system });
      expect(toFileError(cause, 'read', 'p'), system).toMatchObject({ code, where: { file: 'p' }, cause });
    }
    const known = new WorkbenchError({ code: 'VERIFY_FAILED', what: '', whatToDo: '' });
    expect(toFileError(known, 'read', 'p')).toBe(known);
  });

  it('that end before, or are none, are refused when they are read', async () => {
    place().write('.', { file: '0123456789' });
    expect(await nodeFileAccess.read(place().at('file'), 2, 8)).toEqual(new Uint8Array(Buffer.from('23456789')));
    truncateSync(place().at('file'), 9);
    expect((await errorOf(() => nodeFileAccess.read(place().at('file'), 2, 8))).code).toBe('FORMAT_FILE_CUT_SHORT');
    expect((await errorOf(() => nodeFileAccess.read(place().folder, 0, 0))).code).toBe('FILE_IO');
    expect((await errorOf(() => nodeFileAccess.read(place().at('none'), 0, 0))).code).toBe('FILE_NOT_FOUND');
    expect((await errorOf(() => nodeFileAccess.list(place().at('none')))).code).toBe('FILE_NOT_FOUND');
    expect(await nodeFileAccess.stat(place().at('file/below'))).toBeNull();
  });

  it('are written whole beside others of any name, or not at all', async () => {
    place().write('.', { 'file.tmp': 'mine', '.tmp': 'mine too' });
    await writeFileDurably(place().at('file'), 'new');
    expect(readFileSync(place().at('file'), 'utf8')).toBe('new');
    mkdirSync(place().at('folder/full'), { recursive: true });
    expect((await errorOf(() => writeFileDurably(place().at('folder'), 'x'))).code).toBe('FILE_IO');
    expect((await errorOf(() => writeFileDurably(place().at('none/file'), 'x'))).code).toBe('FILE_NOT_FOUND');
    expect(readdirSync(place().folder).sort()).toEqual(['.tmp', 'file', 'file.tmp', 'folder']);
    expect(readFileSync(place().at('file.tmp'), 'utf8')).toBe('mine');
  });

  it('and the folders that they need are made, unless a file is in the way', async () => {
    await makeFolders(place().at('a/b/c'));
    await makeFolders(place().at('a/b/c'));
    await syncFolder(place().at('a/b/c'));
    place().write('.', { file: '' });
    for (const path of ['file', 'file/below', 'file/below/deep']) {
      const call = () => wrapFileErrors('make', path, () => makeFolders(place().at(path)));
      expect((await errorOf(call)).code, path).toMatch(/^FILE_(NOT_FOUND|IO)$/);
    }
  });
});
