import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SampleFiles } from '../../../core/contract/desk.ts';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { comeIn, openTab } from '../../helpers/browse.ts';
import { createFakeTerminal } from '../../helpers/fake-terminal.ts';
import { llamaConfig, llamaLayers } from '../cli/odd-model.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const isWindows = process.platform === 'win32';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-serve-'));
  // The program as it is built, beside pages of the test's own.
  mkdirSync(join(folder, 'program/dist/renderer'), { recursive: true });
  cpSync(join(ROOT, 'dist/cli'), join(folder, 'program/dist/cli'), { recursive: true });
  writeFileSync(join(folder, 'program/package.json'), '{"type":"module"}');
  for (const name of ['dist/native', 'examples', 'node_modules']) {
    symlinkSync(join(ROOT, name), join(folder, 'program', name), 'junction');
  }
  writeFileSync(join(folder, 'program/dist/renderer/index.html'), '<!doctype html>');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the built program, and waits for what it prints first. */
async function start(...argv: string[]) {
  const child = spawn(process.execPath, [join(folder, 'program/dist/cli/lathe.js'), 'serve', ...argv], {
    env: { ...process.env, LATHE_HOME: join(folder, 'home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed.stderr += text));
  await expect.poll(() => printed.stdout, { timeout: 20_000 }).toContain('\n');
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  return { child, printed, ended };
}

describe.skipIf(isWindows)('lathe serve', () => {
  it('prints its address, serves the sample model, and ends with 0 when nothing runs', async () => {
    const { child, printed, ended } = await start();
    const address = printed.stdout.trim();
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/);
    const { remote } = await openTab(Number(new URL(address).port), await comeIn(address));
    const { model } = (await remote.call('sample', {})) as SampleFiles;
    expect(await remote.call('models.open', { path: model ?? '' })).toMatchObject({ parameters: 6_951_168 });
    await expect.poll(() => printed.stderr).toMatch(/For another browser: http:\/\/127/);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(printed.stdout.trim()).toBe(address);
  });

  it('stops a job that runs, exits 75, says how to go on, and goes on after the next start', async () => {
    const { child, printed, ended } = await start('--json', '--threads', '1');
    const { schema, address } = JSON.parse(printed.stdout) as { schema: number; address: string };
    expect(schema).toBe(1);
    const { remote } = await openTab(Number(new URL(address).port), await comeIn(address));
    // Large enough to be interrupted in the midst: 5 MiB a layer, about a second in one thread.
    const model = join(folder, 'model');
    mkdirSync(model);
    writeFileSync(join(model, 'config.json'), llamaConfig(16, 512));
    writeFileSync(join(model, 'model.safetensors'), buildSafetensors({ tensors: llamaLayers(16, 512) }));
    const output = join(folder, 'out');
    const recipe = { lathe: 1 as const, steps: [{ step: 'encode' as const, codec: 'dfloat11' as const }] };
    const asked = { model, output, recipe, resume: false, force: false };
    let isStarted: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (isStarted = resolve));
    const onEvent = (event: JobEvent) => {
      if (event.event === 'stage' && event.stage === 'compress') isStarted();
    };
    void remote.call('compress', asked, { onEvent }).catch(() => undefined);
    await started;
    child.kill('SIGINT');
    expect(await ended, printed.stderr).toBe(75);
    expect(JSON.parse(printed.stdout)).toEqual({ schema: 1, address });
    const [, run = ''] = /Go on with: lathe resume (\S+)/.exec(printed.stderr) ?? [];
    expect(existsSync(output)).toBe(false);

    const again = await start();
    const next = again.printed.stdout.trim();
    const tab = await openTab(Number(new URL(next).port), await comeIn(next));
    expect(await tab.remote.call('runs.list', { limit: 1 })).toMatchObject({ runs: [{ runId: run, resumable: true }] });
    expect(await tab.remote.call('resume', { run })).toMatchObject({ command: 'compress', result: { verified: true } });
    again.child.kill('SIGTERM');
    expect(await again.ended).toBe(0);
  });
});

describe('lathe serve without its pages', () => {
  it('says what to do, as JSON too', async () => {
    const terminal = createFakeTerminal({ rendererFolder: join(folder, 'none') });
    expect(await terminal.run('serve', '--json')).toBe(1);
    expect(terminal.json()).toMatchObject({
      error: { code: 'SERVE_RENDERER_MISSING', whatToDo: 'Run "npm run build".' },
    });
  });

  it('says so where the port is taken', async () => {
    const terminal = createFakeTerminal({ rendererFolder: join(folder, 'program/dist/renderer') });
    const running = terminal.run('serve');
    await expect.poll(() => terminal.printed.stdout).toMatch(/\n$/);
    const { port } = new URL(terminal.printed.stdout.trim());
    const other = createFakeTerminal({ rendererFolder: join(folder, 'program/dist/renderer') });
    expect(await other.run('serve', '--port', port)).toBe(1);
    expect(other.printed.stderr).toContain('SERVE_PORT_UNAVAILABLE');
    terminal.signal();
    expect(await running).toBe(0);
  });
});
