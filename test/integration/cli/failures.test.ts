import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { makeTemporaryFolder, writeOddModel } from './odd-model.ts';

let folder: string;
let model: string;

beforeAll(() => {
  folder = makeTemporaryFolder();
  model = join(folder, 'model');
  writeOddModel(model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function failureOf(...argv: string[]) {
  const run = await runLathe([...argv, '--json']);
  const { error } = run.json<{ error: { code: string; what: string; where: Record<string, unknown> } }>();
  expect(run.stderr).toContain(error.code);
  return { exit: run.code, ...error };
}

const TENSORS = [{ name: 'a', dtype: 'BF16', shape: [4] }] as const;

describe('exit code and JSON of a failure', () => {
  it('are 3 for malformed files, with the place', async () => {
    const hostile = {
      FORMAT_TENSOR_OUT_OF_FILE: buildSafetensors({
        tensors: [...TENSORS.map((each) => ({ ...each, shape: [4] }))],
        cutBytes: 2,
      }),
      FORMAT_HEADER_OUT_OF_FILE: buildSafetensors({ headerLength: 1000n }),
      FORMAT_HEADER_NOT_JSON: buildSafetensors({ json: '{"a":' }),
    };
    for (const [code, bytes] of Object.entries(hostile)) {
      const path = write(`${code}.safetensors`, bytes);
      expect(await failureOf('inspect', path)).toMatchObject({ exit: 3, code, where: { file: expect.any(String) } });
    }
  });

  it('escape names from files on stderr', async () => {
    const name = 'x\u001b[2J\u202e';
    const entries = { [name]: { dtype: 'NOPE' } };
    const bytes = buildSafetensors({ tensors: [{ name, dtype: 'BF16', shape: [1] }], entries });
    const run = await runLathe(['inspect', write('hostile-name.safetensors', bytes)]);
    expect(run.code).toBe(3);
    expect(run.stderr).toContain('u001b[2J');
    for (const character of '\u001b\u202e') expect(run.stderr).not.toContain(character);
  });

  it('are 1 for a model that does not exist', async () => {
    expect(await failureOf('inspect', join(folder, 'none'))).toMatchObject({ exit: 1, code: 'MODEL_NOT_FOUND' });
  });

  it('are 2 for a recipe that does not exist, is a folder, too large, not text, or wrong inside', async () => {
    const rows: [path: string, code: string][] = [
      [join(folder, 'none.yaml'), 'RECIPE_NOT_FOUND'],
      [folder, 'RECIPE_NOT_FOUND'],
      [join(model, 'config.json', 'none.yaml'), 'RECIPE_NOT_FOUND'],
      [write('large.yaml', `lathe: 1 #${' '.repeat(2 << 20)}`), 'RECIPE_SYNTAX'],
      [write('binary.yaml', Uint8Array.of(0x6c, 0xff, 0xfe)), 'RECIPE_SYNTAX'],
      [write('colon.yaml', 'lathe: 1\nsteps: [\n'), 'RECIPE_SYNTAX'],
      [write('key.yaml', 'lathe: 1\nstep: []\nsteps: [{ step: encode, codec: dfloat11 }]\n'), 'RECIPE_UNKNOWN_KEY'],
      [write('codec.yaml', 'lathe: 1\nsteps: [{ step: encode, codec: zip }]\n'), 'RECIPE_INVALID_VALUE'],
      [
        write('later.yaml', 'lathe: 1\nsteps: [{ step: prune, method: wanda, sparsity: 0.5 }]\n'),
        'RECIPE_NOT_SUPPORTED',
      ],
    ];
    for (const [path, code] of rows) {
      expect(await failureOf('estimate', model, '--recipe', path), path).toMatchObject({ exit: 2, code });
    }
    expect(
      await failureOf('compress', model, '-o', join(folder, 'o'), '--recipe', join(folder, 'key.yaml')),
    ).toMatchObject({ where: { line: 2, column: 1 } });
  });

  it.skipIf(process.platform === 'win32')(
    'are 2 for a recipe that is a pipe, to which nobody may ever write',
    async () => {
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      expect(await failureOf('estimate', model, '--recipe', pipe)).toMatchObject({ exit: 2, code: 'RECIPE_NOT_FOUND' });
    },
  );

  it('are 5, or 3, for a compressed file that was changed, and the document is printed whole', async () => {
    const output = join(folder, 'changed');
    expect((await runLathe(['compress', model, '-o', output, '--preset', 'lossless-split-plane'])).code).toBe(0);
    const [name] = readdirSync(output).sort((a, b) => statSync(join(output, b)).size - statSync(join(output, a)).size);
    const bytes = readFileSync(join(output, name!));
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(join(output, name!), bytes);
    const run = await runLathe(['verify', output, '--json']);
    expect([3, 5]).toContain(run.code);
    expect(run.json()).toHaveProperty('error.code');
    expect(run.json()).toMatchObject({ ok: false, tensors: expect.any(Array) });
    const plain = await runLathe(['verify', output]);
    expect(plain.code).toBe(run.code);
    expect(plain.stdout).toContain('FAILED');
  });

  it('are 1 where the output exists, and it stays as it is', async () => {
    const output = join(folder, 'mine');
    mkdirSync(output);
    writeFileSync(join(output, 'file'), 'precious');
    const argv = ['compress', model, '-o', output, '--preset', 'lossless-dfloat11'];
    expect(await failureOf(...argv)).toMatchObject({ exit: 1, code: 'JOB_OUTPUT_EXISTS' });
    expect(await failureOf(...argv, '--dry-run')).toMatchObject({ exit: 1, code: 'JOB_OUTPUT_EXISTS' });
    expect(readFileSync(join(output, 'file'), 'utf8')).toBe('precious');
  });
});
