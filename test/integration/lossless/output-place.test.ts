import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runLathe } from '../../helpers/run-lathe.ts';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf } from './folder-snapshot.ts';
import { writeMixedModel } from './mixed-model.ts';

const isWindows = process.platform === 'win32';
const isRoot = process.getuid?.() === 0;
/** `nobody`, on every Linux. */
const UNPRIVILEGED_ID = 65534;

let shared: string;
let model: string;
let place: CompressPlace;

beforeEach(() => {
  shared = makeFolder('output-place');
  model = join(shared, 'model');
  writeMixedModel(model);
  place = new CompressPlace(model, 'split-plane');
});

afterEach(() => {
  place.remove();
  rmSync(shared, { recursive: true, force: true });
});

describe('an output that would touch its input is refused, even with --force:', () => {
  async function expectInputRefused(input: string, output: string): Promise<void> {
    const before = snapshotOf(shared);
    const recipe = ['--recipe', place.recipe];
    for (const more of [[], ['--force'], ['--resume'], ['--dry-run']]) {
      const run = await place.run(['compress', input, '-o', output, ...recipe, ...more]);
      expect(run.json(), `${output} ${more.join(' ')}: ${run.stderr}`).toMatchObject({
        error: { code: 'USAGE_OUTPUT_IS_INPUT' },
      });
      expect(run.code).toBe(2);
    }
    expect(snapshotOf(shared)).toEqual(before);
  }

  it('the model folder itself', async () => {
    await expectInputRefused(model, model);
    await expectInputRefused(`${model}/`, `${model}/extras/..`);
  });

  it('a folder inside the model folder', async () => {
    await expectInputRefused(model, join(model, 'compressed'));
    await expectInputRefused(model, join(model, 'empty', 'deep', 'compressed'));
  });

  it('a folder that holds the model folder', async () => {
    await expectInputRefused(model, shared);
  });

  it('a weight file, its folder, or the folder of the index', async () => {
    const shard = join(model, 'model-00002-of-00002.safetensors');
    await expectInputRefused(shard, shard);
    await expectInputRefused(shard, model);
    await expectInputRefused(join(model, 'model.safetensors.index.json'), model);
    await expectInputRefused(join(model, 'model.safetensors.index.json'), shard);
  });

  it.skipIf(isWindows)('the model folder by way of a link', async () => {
    symlinkSync(model, join(shared, 'link'));
    await expectInputRefused(join(shared, 'link'), model);
    await expectInputRefused(model, join(shared, 'link'));
    await expectInputRefused(model, join(shared, 'link', 'compressed'));
  });

  it('the compressed folder, of restore', async () => {
    expect((await place.compress()).code).toBe(0);
    const before = snapshotOf(place.output);
    for (const output of [place.output, join(place.output, 'restored'), join(place.output, '..')]) {
      const run = await place.run(['restore', place.output, '-o', output, '--force']);
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'USAGE_OUTPUT_IS_INPUT' } });
      expect(run.code).toBe(2);
    }
    expect(snapshotOf(place.output)).toEqual(before);
    expect(place.leftovers()).toEqual([]);
  });
});

describe('an output that exists', () => {
  it('is refused without --force and left as it is', async () => {
    mkdirSync(place.output);
    writeFileSync(join(place.output, 'mine'), 'precious');
    for (const args of [[], ['--resume']]) {
      const run = await place.compress(args);
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_OUTPUT_EXISTS' } });
      expect(run.code).toBe(1);
    }
    expect(Object.keys(snapshotOf(place.output)!)).toEqual(['mine']);
    expect(place.leftovers()).toEqual([]);
  });

  it('is refused where it is a file', async () => {
    writeFileSync(place.output, 'precious');
    const run = await place.compress();
    expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_OUTPUT_EXISTS' } });
    expect(run.code).toBe(1);
    expect(place.leftovers()).toEqual([]);
  });

  it('is taken where it is an empty folder', async () => {
    mkdirSync(place.output);
    const run = await place.compress();
    expect(run.code, run.stderr).toBe(0);
    expect(existsSync(join(place.output, 'lathe.json'))).toBe(true);
    expect(place.leftovers()).toEqual([]);
  });
});

describe.skipIf(isWindows)('without permission, as a user without privileges,', () => {
  /** Loaded before the program where the tests run as root, whom no permission stops. */
  function unprivileged(): Record<string, string> {
    if (!isRoot) return {};
    const path = join(shared, 'drop-privileges.mjs');
    const steps = [`setgroups([])`, `setgid(${UNPRIVILEGED_ID})`, `setuid(${UNPRIVILEGED_ID})`];
    writeFileSync(path, steps.map((step) => `process.${step};\n`).join(''));
    return { NODE_OPTIONS: `--import ${pathToFileURL(path).href}` };
  }

  /** Opens everything to everybody; the test then closes one thing. */
  async function canRunUnprivileged(): Promise<boolean> {
    for (const folder of [shared, place.folder]) execFileSync('chmod', ['-R', 'a+rwX', folder]);
    if (!isRoot) return true;
    const run = await runLathe(['--version'], { env: { ...unprivileged(), LATHE_HOME: place.home } });
    return run.code === 0;
  }

  async function expectDenied(path: string, leftovers: string[] = []): Promise<void> {
    const run = await place.compress([], undefined, { env: unprivileged() });
    expect(run.json(), run.stderr).toMatchObject({ error: { code: 'FILE_PERMISSION_DENIED' } });
    expect(run.json<{ error: { what: string } }>().error.what).toContain(path);
    expect(run.code).toBe(1);
    expect(snapshotOf(place.output)).toBeNull();
    expect(place.leftovers()).toEqual(leftovers);
  }

  it('a weight file cannot be read, and the error names it', async (context) => {
    if (!(await canRunUnprivileged())) return context.skip('the program itself cannot be read by other users');
    chmodSync(join(model, 'model-00002-of-00002.safetensors'), 0);
    await expectDenied('model-00002-of-00002.safetensors');
  });

  it('another file of the model cannot be read, the error names it, and --resume finishes once it can', async (context) => {
    if (!(await canRunUnprivileged())) return context.skip('the program itself cannot be read by other users');
    chmodSync(join(model, 'tokenizer.json'), 0);
    await expectDenied('tokenizer.json', ['compressed.lathe-partial']);
    chmodSync(join(model, 'tokenizer.json'), 0o644);
    const resumed = await place.compress(['--resume'], undefined, { env: unprivileged() });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(place.leftovers()).toEqual([]);
  });

  it('the model folder cannot be listed, and the error names it', async (context) => {
    if (!(await canRunUnprivileged())) return context.skip('the program itself cannot be read by other users');
    chmodSync(join(model, 'extras'), 0);
    await expectDenied('extras');
    chmodSync(join(model, 'extras'), 0o700);
  });

  it('the folder of the output cannot be written, and the error names it', async (context) => {
    if (!(await canRunUnprivileged())) return context.skip('the program itself cannot be read by other users');
    chmodSync(join(place.folder, 'out'), 0o555);
    await expectDenied(join(place.folder, 'out'));
  });

  it('LATHE_HOME cannot be written, and the error names it', async (context) => {
    if (!(await canRunUnprivileged())) return context.skip('the program itself cannot be read by other users');
    mkdirSync(place.home);
    chmodSync(place.home, 0o555);
    await expectDenied(place.home);
  });
});

describe('on a disk that is full', () => {
  /** Only root can mount; true if a disk of this size is there now. */
  function mountSmallDisk(folder: string, kibibytes: number, remount = false): boolean {
    if (process.platform !== 'linux' || !isRoot) return false;
    const options = `${remount ? 'remount,' : ''}size=${kibibytes}k`;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }

  it('compress ends with exit code 4, keeps the old output, and finishes with --resume once there is room', async (context) => {
    const disk = join(place.folder, 'out');
    if (!mountSmallDisk(disk, 100)) return context.skip('a small disk cannot be mounted here');
    try {
      mkdirSync(place.output);
      writeFileSync(join(place.output, 'mine'), 'precious');
      const run = await place.compress(['--force']);
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'RESOURCE_DISK_FULL', retryable: true } });
      expect(run.code).toBe(4);
      expect(Object.keys(snapshotOf(place.output)!)).toEqual(['mine']);
      expect(mountSmallDisk(disk, 4000, true)).toBe(true);
      const resumed = await place.compress(['--force', '--resume']);
      expect(resumed.code, resumed.stderr).toBe(0);
      const elsewhere = join(shared, 'elsewhere');
      const again = await place.run(['compress', model, '-o', elsewhere, '--recipe', place.recipe]);
      expect(again.code, again.stderr).toBe(0);
      expect(snapshotOf(place.output)).toEqual(snapshotOf(elsewhere));
      expect(place.leftovers()).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('restore ends with exit code 4 and leaves no output', async (context) => {
    const compressed = join(shared, 'compressed');
    expect((await place.run(['compress', model, '-o', compressed, '--recipe', place.recipe])).code).toBe(0);
    const disk = join(place.folder, 'out');
    if (!mountSmallDisk(disk, 100)) return context.skip('a small disk cannot be mounted here');
    try {
      const run = await place.run(['restore', compressed, '-o', place.output]);
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'RESOURCE_DISK_FULL' } });
      expect(run.code).toBe(4);
      expect(snapshotOf(place.output)).toBeNull();
      expect(mountSmallDisk(disk, 4000, true)).toBe(true);
      const again = await place.run(['restore', compressed, '-o', place.output]);
      expect(again.code, again.stderr).toBe(0);
      expect(snapshotOf(place.output)).toEqual(snapshotOf(model));
      expect(place.leftovers()).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

describe('restore', () => {
  it('brings back every file, empty ones and empty folders too, over an old output with --force', async () => {
    expect((await place.compress()).code).toBe(0);
    const restored = join(shared, 'restored');
    cpSync(join(model, 'extras'), restored, { recursive: true });
    const run = await place.run(['restore', place.output, '-o', restored, '--force']);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ lossless: true, filesIdentical: true });
    expect(snapshotOf(restored)).toEqual(snapshotOf(model));
  });
});
