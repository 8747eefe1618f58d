import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { QueuedJob } from '../../../../core/contract/engine-protocol.ts';
import { JobError, ModelError, type WorkbenchError } from '../../../../core/errors.ts';
import { ResourcePool } from '../../../../core/scheduling/resource-pool.ts';
import { lineChannel } from '../../../../workers/host/channel.ts';
import { connectEngine, type RemoteEngine } from '../../../../workers/host/connect-engine.ts';
import { openDesk } from '../../../../workers/host/open-desk.ts';
import { EngineServer } from '../../../../workers/host/serve-engine.ts';
import type { Engine, JobOptions } from '../../../../workers/engine/index.ts';
import { engineRoad } from '../../../helpers/engine-road.ts';

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Until something holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

type Verify = (options: JobOptions & { model: string }) => Promise<unknown>;

/** An engine whose `verify` is the test's. */
function serve(verify: Verify, concurrency = 1, inspect: Verify = findNothing) {
  const engine = {
    verify,
    inspect,
    doctor: () => Promise.resolve({ schema: 1, problems: [] }),
  } as unknown as Engine;
  const pool = new ResourcePool({ threads: 3, memoryBytes: null });
  const desk = openDesk({ home: '/nowhere', userFolder: '/nowhere', examplesFolder: null });
  return new EngineServer({ engine, desk, pool, memoryLimitBytes: 1 << 30, concurrency, version: '1.2.3' });
}

function findNothing({ model }: { model: string }): Promise<never> {
  const what = `There is nothing at "${model}".`;
  return Promise.reject(new ModelError({ code: 'MODEL_NOT_FOUND', what, where: { file: model }, whatToDo: 'Look.' }));
}

async function connect(server: EngineServer) {
  const { driver, engine } = engineRoad();
  server.connect(engine);
  const seen = { jobs: [] as readonly QueuedJob[], gone: null as WorkbenchError | null };
  const remote = await connectEngine(
    driver,
    (jobs) => (seen.jobs = jobs),
    (error) => (seen.gone = error),
  );
  return { remote, seen };
}

function verify(remote: RemoteEngine, model: string, queue: { priority?: number; label?: string } = {}) {
  return remote.call('verify', { model, against: null, queue });
}

describe('an engine behind a channel', () => {
  it('answers calls with results, and with errors whose code, place and stack are intact', async () => {
    const { remote } = await connect(serve(() => Promise.resolve({ ok: true })));
    expect(remote.version).toBe('1.2.3');
    expect(await verify(remote, 'm')).toEqual({ ok: true });
    expect(await remote.call('doctor', {})).toMatchObject({ problems: [] });
    const error = await remote.call('inspect', { model: 'none', statistics: false }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'MODEL_NOT_FOUND', where: { file: 'none' }, whatToDo: 'Look.' });
    expect((error as Error).stack).toContain('serve-engine.test.ts');
  });

  it('gives jobs the threads and the memory of the engine, and tells their events to their caller alone', async () => {
    const given: unknown[] = [];
    const server = serve(({ threads, memoryLimitBytes, onEvent, scheduling, model }) => {
      given.push([threads, memoryLimitBytes, scheduling?.pool.limits.threads]);
      onEvent({ event: 'note', message: `verified ${model}` });
      return Promise.resolve({});
    });
    const { remote } = await connect(server);
    const events: unknown[] = [];
    let job = '';
    await remote.call(
      'verify',
      { model: 'a', against: null, queue: { threads: 2 } },
      { onEvent: (event) => events.push(event), onQueued: (name) => (job = name) },
    );
    await verify(remote, 'b');
    expect(given).toEqual([
      [2, 1 << 30, 3],
      [3, 1 << 30, 3],
    ]);
    expect(events).toEqual([{ event: 'note', message: 'verified a' }]);
    expect(job).toBe('job-1');
  });

  it('shows its queue to every driver, and lets each of them pause, reorder and cancel', async () => {
    const started: string[] = [];
    const server = serve(({ model, signal }) => {
      started.push(model);
      return new Promise((_, reject) => {
        const stop = () => reject(new JobError({ code: 'JOB_CANCELLED', what: 'Stopped.', whatToDo: 'Go on.' }));
        signal.addEventListener('abort', stop);
      });
    });
    const one = await connect(server);
    const other = await connect(server);
    const calls = ['a', 'b', 'c'].map((model) => verify(one.remote, model).catch((error: WorkbenchError) => error));
    await until(() => other.seen.jobs.length === 3);
    expect(other.seen.jobs.map(({ id, status, label }) => `${id} ${status} ${label}`)).toEqual([
      'job-1 running verify a',
      'job-2 waiting verify b',
      'job-3 waiting verify c',
    ]);
    await other.remote.call('jobs.move', { job: 'job-3', before: 'job-2' });
    await other.remote.call('jobs.pause', { job: 'job-1' });
    expect(started).toEqual(['a', 'c']);
    await other.remote.call('jobs.setPriority', { job: 'job-2', priority: 5 });
    await other.remote.call('jobs.cancel', { job: 'job-3' });
    expect(await calls[2]).toMatchObject({ code: 'JOB_CANCELLED' });
    await until(() => started.includes('b'));
    expect(one.seen.jobs.map(({ status }) => status)).toEqual(['paused', 'cancelled', 'running']);
    await other.remote.call('jobs.remove', { job: 'job-3' });
    await until(() => one.seen.jobs.length === 2);
    await expect(other.remote.call('jobs.pause', { job: 'job-9' })).rejects.toMatchObject({ code: 'JOB_UNKNOWN' });
    expect(await server.close()).toEqual([]);
    expect(await calls[0]).toMatchObject({ code: 'JOB_CANCELLED' });
  });

  it('tells at its end which jobs can be gone on with', async () => {
    const server = serve(({ signal }) => {
      return new Promise((_, reject) => {
        const stop = () => reject(new JobError({ code: 'JOB_INTERRUPTED', what: 'Stopped.', whatToDo: 'Resume.' }));
        signal.addEventListener('abort', stop);
      });
    });
    const { remote } = await connect(server);
    const codes = ['a', 'b'].map((model) => verify(remote, model).catch((error: WorkbenchError) => error.code));
    await turn();
    expect(await server.close()).toMatchObject([{ code: 'JOB_INTERRUPTED' }]);
    expect(await Promise.all(codes)).toEqual(['JOB_INTERRUPTED', 'JOB_CANCELLED']);
    await expect(remote.call('doctor', {})).rejects.toMatchObject({ code: 'ENGINE_GONE', retryable: true });
  });

  it('stops a call that is no job when its driver leaves: nobody else would hear of it', async () => {
    let isStopped = false;
    const inspect = ({ signal }: JobOptions) =>
      new Promise<unknown>(() => signal.addEventListener('abort', () => (isStopped = true)));
    const { remote } = await connect(serve(() => Promise.resolve({}), 1, inspect));
    void remote.call('inspect', { model: 'm', statistics: true }).catch(() => undefined);
    await turn();
    remote.close();
    await until(() => isStopped);
  });

  it('stops a call when its signal fires, whether it runs or waits', async () => {
    const server = serve(({ signal }) => {
      return new Promise((_, reject) => {
        const stop = () => reject(new JobError({ code: 'JOB_INTERRUPTED', what: 'Stopped.', whatToDo: 'Resume.' }));
        signal.addEventListener('abort', stop);
      });
    });
    const { remote } = await connect(server);
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => {
      return remote
        .call('verify', { model: 'm', against: null }, { signal })
        .catch((error: WorkbenchError) => error.code);
    });
    await turn();
    controllers[1]?.abort();
    expect(await calls[1]).toBe('JOB_CANCELLED');
    controllers[0]?.abort();
    expect(await calls[0]).toBe('JOB_INTERRUPTED');
  });

  it('keeps jobs going when the driver that asked for them leaves', async () => {
    let finish: () => void = () => undefined;
    const server = serve(() => new Promise((resolve) => (finish = () => resolve({}))));
    const one = await connect(server);
    const left = verify(one.remote, 'm').catch((error: WorkbenchError) => error.code);
    await turn();
    one.remote.close();
    expect(await left).toBe('ENGINE_GONE');
    expect(one.seen.gone).toBeNull();
    const other = await connect(server);
    await until(() => other.seen.jobs[0]?.status === 'running');
    finish();
    await until(() => other.seen.jobs[0]?.status === 'done');
  });

  it('refuses parameters that a call does not take, before anything is queued', async () => {
    const { remote, seen } = await connect(serve(() => Promise.resolve({})));
    const call = remote.call('verify', { model: 'm', agianst: null } as never);
    await expect(call).rejects.toMatchObject({
      code: 'ENGINE_PROTOCOL',
      what: expect.stringContaining('verify') as string,
    });
    expect(seen.jobs).toEqual([]);
  });

  it.each([
    ['no greeting', [{ type: 'call', id: 1, method: 'doctor', params: {} }], /expected "hello"/],
    ['another protocol', [{ type: 'hello', protocol: 99 }], /greeted in 99/],
    [
      'an unknown method',
      [
        { type: 'hello', protocol: 1 },
        { type: 'call', id: 1, method: 'eval', params: {} },
      ],
      /method/,
    ],
    ['a number used twice', [{ type: 'hello', protocol: 1 }, call(7), call(7)], /call 7 was made twice/],
    ['no message at all', ['hello'], /not one of the protocol/],
  ])('ends the connection after %s, with the reason', async (_, messages, reason) => {
    const { driver, engine } = engineRoad();
    let isClosed = false;
    serve(() => new Promise(() => undefined)).connect(engine, () => (isClosed = true));
    const answers: { type: string; id?: number | null; error?: WorkbenchError }[] = [];
    driver.listen(
      (answer) => answers.push(answer as (typeof answers)[number]),
      () => undefined,
    );
    for (const message of messages) driver.send(message as object);
    await until(() => isClosed);
    await until(() => answers.some(({ type, id }) => type === 'error' && id === null));
    const { error } = answers.find(({ type }) => type === 'error') ?? {};
    expect(error).toMatchObject({ code: 'ENGINE_PROTOCOL', what: expect.stringMatching(reason) as string });
  });
});

function call(id: number) {
  return { type: 'call', id, method: 'verify', params: { model: 'm', against: null } };
}

describe('a driver', () => {
  it.each([
    ['that is no engine', 'Good morning!\n', 'ENGINE_PROTOCOL'],
    ['that says what is not of the protocol', '{"type":"weather"}\n', 'ENGINE_PROTOCOL'],
    ['that ends at once', null, 'ENGINE_GONE'],
  ])('tells of another end %s', async (_, text, code) => {
    const back = new PassThrough();
    const connected = connectEngine(lineChannel(back, new PassThrough()));
    back.end(text ?? undefined);
    await expect(connected).rejects.toMatchObject({ code });
  });

  it('lets all its calls fail when the engine ends, and later ones at once', async () => {
    const there = new PassThrough();
    const back = new PassThrough();
    let gone: WorkbenchError | null = null;
    serve(() => new Promise(() => undefined)).connect(lineChannel(there, back));
    const remote = await connectEngine(lineChannel(back, there), undefined, (error) => (gone = error));
    const waiting = verify(remote, 'm');
    back.end();
    await expect(waiting).rejects.toMatchObject({ code: 'ENGINE_GONE', retryable: true });
    await expect(verify(remote, 'm')).rejects.toMatchObject({ code: 'ENGINE_GONE' });
    expect(gone).toMatchObject({ code: 'ENGINE_GONE' });
  });

  it('reads messages however they are cut into pieces', async () => {
    const there = new PassThrough();
    const pieces = new PassThrough();
    const back = new PassThrough();
    back.on('data', (bytes: Buffer) => {
      for (const byte of bytes) pieces.write(Buffer.of(byte));
    });
    serve(() => Promise.resolve({ text: 'ä€😀' })).connect(lineChannel(there, back));
    const remote = await connectEngine(lineChannel(pieces, there));
    expect(await verify(remote, 'm')).toEqual({ text: 'ä€😀' });
  });
});
