import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QueuedJob } from '../../../core/contract/engine-protocol.ts';
import type { WorkbenchError } from '../../../core/errors.ts';
import { lineChannel, processChannel } from '../../../workers/host/channel.ts';
import { connectEngine } from '../../../workers/host/connect-engine.ts';

const built = (path: string) => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));
const MODEL = fileURLToPath(new URL('../../../examples/models/docs-llama-7m', import.meta.url));
const RECIPE = { lathe: 1 as const, steps: [{ step: 'encode' as const, codec: 'split-plane' as const }] };

let folder = '';
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-host-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function hostArguments(): [string, string[]] {
  const options = {
    kernelsPath: built('native/lathe-kernels.node'),
    inferenceWorkerPath: built('engine/inference-worker.cjs'),
    home: join(folder, 'home'),
    threads: 2,
    memoryLimitBytes: null,
    concurrency: 2,
  };
  return [built('engine/engine-host.cjs'), [JSON.stringify(options)]];
}

async function forkEngine(onJobs?: (jobs: readonly QueuedJob[]) => void) {
  const [path, argv] = hostArguments();
  const child = fork(path, argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  return { child, remote: await connectEngine(processChannel(child), onJobs) };
}

describe('an engine in a process of its own', () => {
  it('compresses two models side by side, verifies and evaluates, all over one channel', async () => {
    let jobs: readonly QueuedJob[] = [];
    const { remote } = await forkEngine((changed) => (jobs = changed));
    const compress = (name: string) => {
      const output = join(folder, name);
      return remote.call('compress', { model: MODEL, output, recipe: RECIPE, resume: false, force: false });
    };
    const results = await Promise.all([compress('one'), compress('two')]);
    expect(results).toMatchObject([{ verified: true }, { verified: true }]);
    expect(jobs.map(({ status }) => status)).toEqual(['done', 'done']);
    expect(await remote.call('verify', { model: join(folder, 'one'), against: MODEL })).toMatchObject({ ok: true });
    const text = fileURLToPath(new URL('../../../README.md', import.meta.url));
    const evaluated = remote.call('evaluate', {
      model: join(folder, 'two'),
      reference: MODEL,
      texts: [text],
      choices: null,
      context: 64,
      limitTokens: 640,
      tokensOut: null,
      noiseFloorSeed: null,
      resume: false,
      force: false,
    });
    expect(await evaluated).toMatchObject({ windows: 10, klDivergence: { mean: 0 }, top1Agreement: 1 });
  });

  it('speaks over pipes too, a message a line', async () => {
    const [path, argv] = hostArguments();
    const child = spawn(process.execPath, [path, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const remote = await connectEngine(lineChannel(child.stdout, child.stdin));
    expect(await remote.call('doctor', {})).toMatchObject({ schema: 1 });
    remote.close();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('lets its driver know when it is killed, and another one goes on with the run', async () => {
    const { child, remote } = await forkEngine();
    const output = join(folder, 'out');
    const asked = { model: MODEL, output, recipe: RECIPE, force: false };
    const cut = remote
      .call('compress', { ...asked, resume: false }, { onEvent: () => child.kill('SIGKILL') })
      .catch((error: WorkbenchError) => error.code);
    expect(await cut).toBe('ENGINE_GONE');
    const next = await forkEngine();
    expect(await next.remote.call('compress', { ...asked, resume: true })).toMatchObject({ verified: true });
    expect(readdirSync(folder).sort()).toEqual(['home', 'out']);
  });

  it('stops its jobs and ends when its driver leaves, with nothing lost', async () => {
    const { child, remote } = await forkEngine();
    const output = join(folder, 'out');
    const asked = { model: MODEL, output, recipe: RECIPE, force: false };
    let isStarted: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (isStarted = resolve));
    void remote.call('compress', { ...asked, resume: false }, { onEvent: () => isStarted() }).catch(() => undefined);
    await started;
    remote.close();
    expect(await once(child, 'exit')).toEqual([0, null]);
    const next = await forkEngine();
    expect(await next.remote.call('compress', { ...asked, resume: true })).toMatchObject({ verified: true });
    expect(existsSync(`${output}.lathe-partial`)).toBe(false);
  });
});
