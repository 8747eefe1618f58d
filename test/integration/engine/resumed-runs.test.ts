import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { hookedKernels, kernelsWith, recipeOf, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

function output(): string {
  return place().at('out');
}

/** Stops a run in its midst. */
async function interrupt(): Promise<void> {
  const controller = new AbortController();
  const { kernels } = kernelsWith(12, () => controller.abort());
  const options = place().compressOptions(place().at('model'), output(), 'dfloat11', { signal: controller.signal });
  expect((await errorOf(() => place().compressBy(kernels, options))).code).toBe('JOB_INTERRUPTED');
}

function resume(parts: { model?: string; force?: boolean } = {}, recipe = recipeOf('dfloat11')) {
  const { model = place().at('model'), force = false } = parts;
  return place().compress(model, output(), recipe, { resume: true, force });
}

function journalPaths(): string[] {
  return readdirSync(join(place().home, 'runs')).map((runId) => join(place().home, 'runs', runId, 'journal.jsonl'));
}

/** As if the run had been killed before it could say that it is done. */
function forgetEnd(): void {
  const [path = ''] = journalPaths();
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.at(-2)).toContain('"done"');
  writeFileSync(path, `${lines.slice(0, -2).join('\n')}\n`);
}

/** What a run leaves that is killed between its last rename and the end of its cleaning up. */
function putPartialBack(parts: Record<string, string>): void {
  const [runId = ''] = readdirSync(join(place().home, 'runs'));
  place().write('out.lathe-partial', { 'run.json': JSON.stringify({ runId, command: 'compress' }), ...parts });
}

beforeEach(() => writeMixedModel(place().at('model')));

describe('an interrupted run', () => {
  const version = process.env['LATHE_VERSION'];
  afterEach(() => {
    if (version === undefined) delete process.env['LATHE_VERSION'];
    else process.env['LATHE_VERSION'] = version;
  });

  async function expectMismatch(named: RegExp, call: () => Promise<unknown> = resume): Promise<void> {
    const before = snapshotOf(place().folder);
    const error = await errorOf(call);
    expect(error).toMatchObject({ code: 'JOB_RESUME_MISMATCH' });
    expect(error.what).toMatch(named);
    expect(snapshotOf(place().folder)).toEqual(before);
  }

  it('is not resumed with another recipe, version or model, nor after a file of the model changed, came or went', async () => {
    await interrupt();
    await expectMismatch(/recipe/, () => resume({}, recipeOf('split-plane')));
    await expectMismatch(/recipe/, () => resume({}, recipeOf('dfloat11', { skip: ['lm_head'] })));
    process.env['LATHE_VERSION'] = '99.0.0';
    await expectMismatch(/this is Lathe 99\.0\.0/);
    delete process.env['LATHE_VERSION'];
    cpSync(place().at('model'), place().at('copy'), { recursive: true, preserveTimestamps: true });
    await expectMismatch(/copy/, () => resume({ model: place().at('copy') }));
    await expectMismatch(/model\.safetensors\.index\.json/, () => {
      return resume({ model: place().at('model/model.safetensors.index.json') });
    });
    writeFileSync(place().at('model/new.txt'), '');
    await expectMismatch(/new\.txt" is new/);
    rmSync(place().at('model/new.txt'));
    renameSync(place().at('model/extras/blob.dat'), place().at('blob.dat'));
    await expectMismatch(/extras\/blob\.dat" is gone/);
    renameSync(place().at('blob.dat'), place().at('model/extras/blob.dat'));
    utimesSync(place().at('model/model-00001-of-00002.safetensors'), 1, 1);
    await expectMismatch(/model-00001-of-00002\.safetensors" has changed/);
  });

  it('is resumed with more threads to the same bytes', async () => {
    await place().compress(place().at('model'), place().at('whole'), 'dfloat11');
    await interrupt();
    const resumed = await place().compress(place().at('model'), output(), 'dfloat11', { resume: true, threads: 3 });
    expect(resumed.resumed).toBe(true);
    expect(snapshotOf(output())).toEqual(snapshotOf(place().at('whole')));
  });

  it('does what was lost or cut again, and takes nothing for done that is not there', async () => {
    await place().compress(place().at('model'), place().at('whole'), 'dfloat11');
    for (const spoil of [
      (folder: string) => rmSync(join(folder, 'model_layers_0.safetensors'), { force: true }),
      (folder: string) => writeFileSync(join(folder, 'model_layers_0.safetensors'), 'cut'),
      (folder: string) => writeFileSync(join(folder, 'stranger.safetensors'), 'not ours'),
      (folder: string) => writeFileSync(join(folder, 'lathe.json'), 'not ours'),
      (folder: string) => rmSync(folder, { recursive: true }),
    ]) {
      await interrupt();
      spoil(place().at('out.lathe-partial/new'));
      expect(await resume()).toMatchObject({ resumed: true, verified: true });
      expect(snapshotOf(output())).toEqual(snapshotOf(place().at('whole')));
      rmSync(output(), { recursive: true });
    }
  });

  it('whose bytes were changed meanwhile is found out by the verification, and nothing is kept', async () => {
    await interrupt();
    const path = place().at('out.lathe-partial/new/model_layers_0.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1;
    writeFileSync(path, bytes);
    const error = await errorOf(resume);
    expect(error.code).toMatch(/^(VERIFY_FAILED|FORMAT_CODED_DATA_MALFORMED)$/);
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model']);
    expect(await resume()).toMatchObject({ resumed: false, verified: true });
  });

  it('is told of, and begins anew, where its journal is gone, empty or torn', async () => {
    for (const spoil of [
      (path: string) => rmSync(join(path, '..'), { recursive: true }),
      (path: string) => writeFileSync(path, ''),
      (path: string) => writeFileSync(path, '{"type":"run","runI'),
      (path: string) => writeFileSync(path, 'null\n7\n"run"\n[]\n{}\n'),
    ]) {
      await interrupt();
      spoil(journalPaths()[0] ?? '');
      place().events.length = 0;
      expect(await resume()).toMatchObject({ resumed: false, verified: true });
      const warnings = place().events.filter(({ event }) => event === 'warning');
      expect(warnings).toMatchObject([{ message: expect.stringContaining('is gone') as string }]);
      rmSync(output(), { recursive: true });
      rmSync(place().home, { recursive: true });
    }
  });

  it('goes on over a torn last line of its journal, and ends that line first', async () => {
    await interrupt();
    const [path = ''] = journalPaths();
    appendFileSync(path, '{"type":"item","key":"copy:0","rec');
    expect(await resume()).toMatchObject({ resumed: true, verified: true });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const torn = lines.filter((line) => !line.endsWith('}'));
    expect(torn).toEqual(['{"type":"item","key":"copy:0","rec']);
  });

  it('is neither resumed nor thrown away by a plain run, and is thrown away by force', async () => {
    await interrupt();
    const before = snapshotOf(place().folder);
    const plain = () => place().compress(place().at('model'), output(), 'dfloat11');
    expect((await errorOf(plain)).code).toBe('JOB_UNFINISHED_RUN_EXISTS');
    expect(snapshotOf(place().folder)).toEqual(before);
    const forced = await place().compress(place().at('model'), output(), 'split-plane', { force: true });
    expect(forced).toMatchObject({ resumed: false, verified: true });
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model', 'out']);
  });

  it('of compress is not mistaken by restore for its own, nor the other way round', async () => {
    await place().compress(place().at('model'), place().at('coded'), 'split-plane');
    await interrupt();
    const restore = (force: boolean) => place().restore(place().at('coded'), output(), { force });
    const error = await errorOf(() => restore(false));
    expect(error.code).toBe('JOB_UNFINISHED_RUN_EXISTS');
    expect(error.what).toContain('lathe compress');
    await restore(true);
    rmSync(output(), { recursive: true });
    place().write('out.lathe-partial', { 'run.json': '{"runId":"r","command":"restore"}', 'new/file': '' });
    expect((await errorOf(resume)).what).toContain('lathe restore');
    expect(await resume({ force: true })).toMatchObject({ resumed: false, verified: true });
    place().write('out.lathe-partial', { 'run.json': '{"runId":"r","command":"restore"}', 'new/file': '' });
    await place().restore(place().at('coded'), output(), { force: true });
    expect(readdirSync(place().folder).sort()).toEqual(['coded', 'home', 'model', 'out']);
  });
});

describe('a run that was killed after its output took its place', () => {
  beforeEach(async () => {
    await place().compress(place().at('model'), output(), 'dfloat11');
    forgetEnd();
  });

  it('is found by its journal, and only its end is noted', async () => {
    const before = snapshotOf(output());
    const touched: string[] = [];
    const kernels = hookedKernels((name) => void touched.push(name));
    const options = place().compressOptions(place().at('model'), output(), 'dfloat11', { resume: true });
    expect(await place().compressBy(kernels, options)).toMatchObject({ resumed: true, verified: true });
    expect(touched.filter((name) => name !== 'lockFile' && name !== 'memoryBytes')).toEqual(['digestFiles']);
    expect(snapshotOf(output())).toEqual(before);
    expect(readFileSync(journalPaths()[0] ?? '', 'utf8')).toContain('"done"');
  });

  it('is not called verified where a byte of its output was changed since', async () => {
    const file = join(output(), 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const error = await errorOf(resume);
    expect(error).toMatchObject({ code: 'VERIFY_FAILED', where: { file: 'model.safetensors' } });
  });

  it('is found too if it had just come to note its end, which nobody who killed it can know', async () => {
    const before = snapshotOf(output());
    for (const force of [false, true]) {
      expect(await resume({ force })).toMatchObject({ resumed: true, verified: true });
      expect(snapshotOf(output())).toEqual(before);
    }
    expect(journalPaths()).toHaveLength(1);
    const other = () => resume({}, recipeOf('split-plane'));
    expect((await errorOf(other)).code).toBe('JOB_OUTPUT_EXISTS');
    const plain = () => place().compress(place().at('model'), output(), 'dfloat11');
    expect((await errorOf(plain)).code).toBe('JOB_OUTPUT_EXISTS');
  });

  it('is not taken for whole if a file of its output is gone or of another size', async () => {
    appendFileSync(join(output(), 'README.md'), ' ');
    expect((await errorOf(resume)).code).toBe('JOB_OUTPUT_EXISTS');
    rmSync(join(output(), 'README.md'));
    expect((await errorOf(resume)).code).toBe('JOB_OUTPUT_EXISTS');
    expect(await resume({ force: true })).toMatchObject({ resumed: false, verified: true });
  });

  it('is not gone on with in what another run has left', async () => {
    place().write('out.lathe-partial/new', { 'model_layers_0.safetensors': 'not ours' });
    const resumed = await resume({ force: true });
    expect(resumed.resumed).toBe(false);
    expect((await place().verify(output(), place().at('model'))).ok).toBe(true);
  });

  it('is found by what it has left of the old output, which goes', async () => {
    putPartialBack({ 'old/file': 'old' });
    expect(await resume({ force: true })).toMatchObject({ resumed: true, verified: true });
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model', 'out']);
  });

  it('is done again where its output was taken away since', async () => {
    const before = snapshotOf(output());
    for (const leave of [() => undefined, () => putPartialBack({})]) {
      rmSync(output(), { recursive: true });
      leave();
      expect((await resume()).verified).toBe(true);
      expect(snapshotOf(output())).toEqual(before);
      expect(readdirSync(place().folder).sort()).toEqual(['home', 'model', 'out']);
      const [first = '', ...others] = readdirSync(join(place().home, 'runs')).sort();
      if (others.length > 0) rmSync(join(place().home, 'runs', first), { recursive: true });
      forgetEnd();
    }
  });

  it('does not take another output at its place for its own', async () => {
    rmSync(output(), { recursive: true });
    await place().compress(place().at('model'), output(), 'split-plane');
    const [, later = ''] = readdirSync(join(place().home, 'runs')).sort();
    rmSync(join(place().home, 'runs', later), { recursive: true });
    const before = snapshotOf(output());
    for (const leave of [() => undefined, () => putPartialBack({})]) {
      leave();
      expect((await errorOf(resume)).code).toBe('JOB_OUTPUT_EXISTS');
      expect(snapshotOf(output())).toEqual(before);
    }
    mkdirSync(place().at('elsewhere'));
    expect((await resume({ force: true })).verified).toBe(true);
    expect(readFileSync(join(output(), 'lathe.json'), 'utf8')).toContain('"method": "dfloat11"');
  });
});

describe('resume without an interrupted run', () => {
  it('is a plain run, whatever other journals there are', async () => {
    mkdirSync(join(place().home, 'runs', 'zzz'), { recursive: true });
    mkdirSync(join(place().home, 'runs', 'yyy', 'journal.jsonl'), { recursive: true });
    place().write('home/runs/xxx', { 'journal.jsonl': 'x'.repeat(200_000) });
    place().write('home/runs/www', { 'journal.jsonl': '' });
    writeFileSync(join(place().home, 'runs', 'vvv'), '');
    expect(await resume()).toMatchObject({ resumed: false, verified: true });
  });
});

describe('a model that changes during the run', () => {
  it.each(['dfloat11', 'split-plane'] as const)('is refused with %s, and nothing is kept', async (codec) => {
    const shard = place().at('model/model-00002-of-00002.safetensors');
    const changes: Record<string, () => void> = {
      'tokenizer.json': () => appendFileSync(place().at('model/tokenizer.json'), ' '),
      'model-00002-of-00002.safetensors': () => {
        // The metadata: no tensor and no size changes.
        const text = readFileSync(shard, 'latin1').replace('"format":"pt"', '"format":"tf"');
        writeFileSync(shard, text, 'latin1');
        utimesSync(shard, 1, 1);
      },
    };
    for (const [name, change] of Object.entries(changes)) {
      let isChanged = false;
      const kernels = hookedKernels((call) => {
        // Once all is coded and copied, before it is verified.
        if (isChanged || (call !== 'decodeDfloat11' && call !== 'decodeSplitPlane')) return;
        isChanged = true;
        change();
      });
      const options = place().compressOptions(place().at('model'), output(), codec);
      const error = await errorOf(() => place().compressBy(kernels, options));
      expect(isChanged).toBe(true);
      expect(error.code).toMatch(/^(MODEL_CHANGED|VERIFY_FAILED)$/);
      expect(error.message, error.message).toContain(name);
      expect(readdirSync(place().folder).sort()).toEqual(['home', 'model']);
    }
  });
});
