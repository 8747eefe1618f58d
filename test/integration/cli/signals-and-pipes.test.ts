import { existsSync, mkdirSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { fileDigests, llamaConfig, llamaLayers, makeTemporaryFolder } from './odd-model.ts';

/** Large enough to be interrupted in the midst: 5 MiB a layer, about a second in one thread. */
const LAYERS = 16;
const WIDTH = 512;
const isWindows = process.platform === 'win32';

let folder: string;
let model: string;

beforeAll(() => {
  folder = makeTemporaryFolder();
  model = join(folder, 'model');
  mkdirSync(model);
  writeFileSync(join(model, 'config.json'), llamaConfig(LAYERS, WIDTH));
  writeFileSync(join(model, 'model.safetensors'), buildSafetensors({ tensors: llamaLayers(LAYERS, WIDTH) }));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(isWindows)('a run that is interrupted', () => {
  const preset = ['--preset', 'lossless-dfloat11', '--threads', '1'];

  it.each(['SIGINT', 'SIGTERM'] as const)('by %s exits 75, and --resume finishes to the same bytes', async (name) => {
    const [whole, output] = [join(folder, `whole-${name}`), join(folder, `interrupted-${name}`)];
    expect((await runLathe(['compress', model, '-o', whole, ...preset])).code).toBe(0);
    const argv = ['compress', model, '-o', output, ...preset];
    const signals = [{ name, after: /"stage":"compress"/ }];
    const run = await runLathe([...argv, '--json', '--events', 'ndjson'], { signals });
    expect(run.code, run.stderr).toBe(75);
    expect(run.json()).toMatchObject({
      error: { code: 'JOB_INTERRUPTED', whatToDo: expect.stringMatching(/lathe compress .* --resume$/) },
    });
    expect(run.events()).toContainEqual(expect.objectContaining({ event: 'error', code: 'JOB_INTERRUPTED' }));
    expect(existsSync(output)).toBe(false);
    expect(existsSync(`${output}.lathe-partial`)).toBe(true);

    const again = await runLathe([...argv, '--json']);
    expect(again.code, again.stderr).toBe(1);
    expect(again.json()).toMatchObject({ error: { code: 'JOB_UNFINISHED_RUN_EXISTS' } });

    const resumed = await runLathe([...argv, '--resume', '--json']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.json()).toMatchObject({ resumed: true, verified: true });
    expect(fileDigests(output)).toEqual(fileDigests(whole));
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });

  it('says on a plain stderr how to go on', async () => {
    const output = join(folder, 'with spaces');
    const signals = [{ name: 'SIGINT' as const, after: /lathe: compress/ }];
    const run = await runLathe(['compress', model, '-o', output, ...preset], { signals });
    expect(run).toMatchObject({ code: 75, stdout: '' });
    expect(run.stderr).toContain('Stopping cleanly');
    expect(run.stderr).toContain(`-o '${output}'`);
    expect(run.stderr).toMatch(/--resume\n/);
  });

  it('exits 130 where there is nothing to resume', async () => {
    const signals = [{ name: 'SIGINT' as const, after: /"stage":"statistics"/ }];
    const run = await runLathe(['inspect', model, '--statistics', '--threads', '1', '--events', 'ndjson', '--json'], {
      signals,
    });
    expect(run.code, run.stderr).toBe(130);
    expect(run.json()).toMatchObject({ error: { code: 'JOB_CANCELLED' } });
  });

  it('ends at once at the second signal, and can still be resumed', async () => {
    const output = join(folder, 'twice');
    const signals = [
      { name: 'SIGINT' as const, after: /"stage":"compress"/ },
      { name: 'SIGINT' as const, after: /Stopping cleanly/ },
    ];
    const run = await runLathe(['compress', model, '-o', output, ...preset, '--events', 'ndjson'], { signals });
    // The engine may stop in the moment between the two.
    expect([130, 75]).toContain(run.code);
    const resumed = await runLathe(['compress', model, '-o', output, ...preset, '--resume', '--json']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.json()).toMatchObject({ resumed: true });
  });
});

describe.skipIf(isWindows)('stdout', () => {
  const program = fileURLToPath(new URL('../../../dist/cli/lathe.js', import.meta.url));
  let many: string;

  beforeAll(() => {
    many = join(folder, 'many.safetensors');
    const tensors = Array.from({ length: 3000 }, (_, index) => ({
      name: `tensor.${index}.${'n'.repeat(100)}`,
      dtype: 'BF16' as const,
      shape: [4],
    }));
    writeFileSync(many, buildSafetensors({ tensors }));
  });

  it.each([[[]], [['--json']]])('may be closed by its reader, as by "| head", without a word: %j', async (flags) => {
    const run = await runLathe(['inspect', many, '--quiet', ...flags], { closeStdoutAfterBytes: 1 });
    expect(run).toMatchObject({ code: 0, signal: null, stderr: '' });
    // More than a pipe holds, so that the program did meet a closed one.
    expect((await runLathe(['inspect', many, ...flags])).stdout.length).toBeGreaterThan(run.stdout.length + 65536);
  });

  it('gets a large document whole through a pipe with a slow reader', () => {
    const shell = '"$0" "$1" inspect "$2" --json | (sleep 1; cat)';
    const options = { encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
    const { stdout } = spawnSync('sh', ['-c', shell, process.execPath, program, many], options);
    expect((JSON.parse(stdout) as { tensors: unknown[] }).tensors).toHaveLength(3000);
  });

  it.skipIf(!existsSync('/dev/full'))('that takes no more data is exit code 4', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [program, 'inspect', model], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    expect(status).toBe(4);
    expect(stderr).toContain('stdout');
  });
});
