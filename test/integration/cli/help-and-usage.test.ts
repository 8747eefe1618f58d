import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runLathe } from '../../helpers/run-lathe.ts';

const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
const COMMANDS = ['inspect', 'compress', 'restore', 'verify', 'estimate', 'doctor', 'schema'];

describe('the program', () => {
  it('prints its version', async () => {
    expect(await runLathe(['--version'])).toMatchObject({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  it('explains itself and every command on stdout', async () => {
    const { code, stdout, stderr } = await runLathe(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of COMMANDS) {
      expect(stdout).toContain(`  ${command} `);
      const help = await runLathe([command, '--help']);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toMatch(new RegExp(`^Usage: lathe ${command} [\\s\\S]*--memory-limit`));
    }
  });

  it.each([
    [[], 'USAGE_INVALID_ARGUMENT'],
    [['frobnicate'], 'USAGE_UNKNOWN_COMMAND'],
    [['inspect'], 'USAGE_INVALID_ARGUMENT'],
    [['inspect', 'm', '--frobnicate'], 'USAGE_INVALID_ARGUMENT'],
    [['compress', 'm', '-o', 'o', '--preset', 'best'], 'USAGE_INVALID_ARGUMENT'],
    [['schema', 'window'], 'USAGE_INVALID_ARGUMENT'],
    [['run', '/nowhere/batch.yaml'], 'BATCH_NOT_FOUND'],
  ])('refuses %j with exit code 2, on stderr and as JSON', async (argv, errorCode) => {
    const plain = await runLathe(argv);
    expect(plain).toMatchObject({ code: 2, stdout: '' });
    expect(plain.stderr).toMatch(/^lathe: /);
    expect(plain.stderr).toContain(errorCode);
    const json = await runLathe(['--json', ...argv]);
    expect(json.code).toBe(2);
    expect(json.json()).toEqual({
      schema: 1,
      error: {
        code: errorCode,
        what: expect.any(String),
        where: expect.any(Object),
        whatToDo: expect.any(String),
        retryable: false,
      },
    });
  });

  it('prints the published schemas', async () => {
    for (const kind of ['recipe', 'result']) {
      const plain = await runLathe(['schema', kind]);
      expect(plain.json()).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' });
      expect(plain.json()).not.toHaveProperty('schema');
      expect((await runLathe(['schema', kind, '--json'])).json()).toEqual({ schema: 1, ...plain.json() });
    }
  });

  it('tells the state of the machine', async () => {
    const run = await runLathe(['doctor', '--json']);
    expect(run.code).toBe(0);
    expect(run.json()).toMatchObject({
      schema: 1,
      version: VERSION,
      kernels: { backends: expect.arrayContaining(['scalar']) },
      gpus: expect.any(Array),
      providers: expect.any(Array),
      problems: expect.any(Array),
    });
    const plain = await runLathe(['doctor']);
    expect(plain.stdout).toMatch(/^Lathe +\d/);
  });
});
