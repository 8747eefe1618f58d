import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WorkbenchError } from '../../../core/errors.ts';
import { startWorkerThread, type WorkerThread } from '../../../workers/inference/worker-thread.ts';
import { errorOf } from '../../helpers/error-of.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A thread whose handlers answer, fail, wait for their signal, or end the thread. */
const ENTRY = `
import { parentPort, workerData } from 'node:worker_threads';
import { ModelError } from ${JSON.stringify(here('../../../core/errors.ts'))};
import { serveCalls } from ${JSON.stringify(here('../../../workers/inference/serve-calls.ts'))};
serveCalls(parentPort, {
  add: async ([a, b]) => a + b + workerData,
  refuse: async (file) => {
    throw new ModelError({ code: 'MODEL_NOT_FOUND', what: 'It is not there.', where: { file }, whatToDo: 'Look.' });
  },
  wait: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('stopped'))),
  exit: async () => process.exit(3),
});
`;

let folder = '';
let entry = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-threads-'));
  const source = join(folder, 'entry.ts');
  entry = join(folder, 'entry.cjs');
  writeFileSync(source, ENTRY);
  buildSync({ entryPoints: [source], outfile: entry, bundle: true, platform: 'node', format: 'cjs', target: 'node16' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const threads: WorkerThread[] = [];
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.close();
});

function start(): WorkerThread {
  const thread = startWorkerThread(entry, 100);
  threads.push(thread);
  return thread;
}

describe('a worker thread', () => {
  test('answers calls that are under way at the same time', async () => {
    const thread = start();
    const answers = [1, 2, 3].map((value) => thread.call<number>('add', [value, 10]));
    expect(await Promise.all(answers)).toEqual([111, 112, 113]);
  });

  test('hands errors over with code, place and advice', async () => {
    const error = await errorOf(() => start().call('refuse', 'model.safetensors'));
    expect(error).toBeInstanceOf(WorkbenchError);
    expect(error).toMatchObject({
      code: 'MODEL_NOT_FOUND',
      what: 'It is not there.',
      where: { file: 'model.safetensors' },
      whatToDo: 'Look.',
    });
  });

  test('stops the one call whose signal fires, before or during it', async () => {
    const thread = start();
    const controller = new AbortController();
    const stopped = thread.call<string>('wait', null, controller.signal);
    const other = new AbortController();
    const running = thread.call<string>('wait', null, other.signal);
    controller.abort();
    expect(await stopped).toBe('stopped');
    expect(await thread.call('add', [1, 1])).toBe(102);
    other.abort();
    expect(await running).toBe('stopped');
    expect(await thread.call('wait', null, controller.signal)).toBe('stopped');
  });

  test('fails the calls that nobody can answer any more', async () => {
    const thread = start();
    const waiting = errorOf(() => thread.call('wait', null));
    expect(await errorOf(() => thread.call('exit', null))).toMatchObject({ code: 'BUG_UNEXPECTED' });
    expect(await waiting).toMatchObject({ what: 'A worker thread ended with exit code 3.' });
    expect(await errorOf(() => thread.call('add', [1, 1]))).toMatchObject({ code: 'BUG_UNEXPECTED' });
    const closed = start();
    const unanswered = errorOf(() => closed.call('wait', null));
    await closed.close();
    expect(await unanswered).toMatchObject({ what: 'A worker thread was closed.' });
    expect(await errorOf(() => start().call('unknown', null))).toMatchObject({ code: 'BUG_UNEXPECTED' });
  });
});
