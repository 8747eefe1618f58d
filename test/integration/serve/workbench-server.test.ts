import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JobError, type WorkbenchError } from '../../../core/errors.ts';
import type { Engine, JobOptions } from '../../../workers/engine/index.ts';
import {
  openWorkbenchServer,
  type WorkbenchServer,
  type WorkbenchServerOptions,
} from '../../../workers/serve/open-workbench-server.ts';
import { ask, comeIn, openSocket, openTab, statusOf } from '../../helpers/browse.ts';
import { fakeEngine } from '../../helpers/fake-engine.ts';

let folder = '';
let server: WorkbenchServer;
let port = 0;
let next: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-serve-'));
  mkdirSync(join(folder, 'renderer', 'assets'), { recursive: true });
  for (const [name, text] of Object.entries({
    'index.html': '<!doctype html>the workbench',
    'app.js': 'start()',
    'app.css': 'body{}',
    'assets/mark.svg': '<svg/>',
    'assets/odd name.bin': 'odd',
  })) {
    writeFileSync(join(folder, 'renderer', name), text);
  }
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'renderer', 'link.txt'));
  await serve();
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(engine: Partial<Engine> = {}, options: Partial<WorkbenchServerOptions> = {}) {
  await (server as WorkbenchServer | undefined)?.close();
  next = [];
  server = await openWorkbenchServer({
    engine: fakeEngine(engine),
    home: join(folder, 'home'),
    userFolder: folder,
    examplesFolder: null,
    rendererFolder: join(folder, 'renderer'),
    port: 0,
    threads: null,
    logicalProcessors: 3,
    memoryLimitBytes: null,
    onNextAddress: (address) => next.push(address),
    ...options,
  });
  port = Number(new URL(server.address).port);
}

/** An engine whose `verify` runs until it is stopped. */
const waiting: Partial<Engine> = {
  verify: ({ signal, model }: JobOptions & { model: string }) =>
    new Promise((_, reject) => {
      const [what, whatToDo, where] = ['Stopped.', 'Resume.', { job: `run of ${model}` }];
      const stop = () => reject(new JobError({ code: 'JOB_INTERRUPTED', what, where, whatToDo }));
      signal.addEventListener('abort', stop);
    }),
};

const token = () => new URL(server.address).search;

describe('where it listens', () => {
  it('is the loopback address alone', async () => {
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, address }) => family === 'IPv4' && address !== '127.0.0.1')
      .map(({ address }) => address);
    for (const host of ['127.0.0.2', '::1', ...others]) {
      const socket = connect({ host, port });
      const outcome = await Promise.race([
        once(socket, 'connect').then(() => 'connected'),
        new Promise((resolve) => socket.once('error', ({ message }) => resolve(message))),
      ]);
      socket.destroy();
      expect(outcome, host).not.toBe('connected');
    }
  });

  it('is refused where another program has the port', async () => {
    await expect(
      openWorkbenchServer({
        engine: fakeEngine(),
        home: folder,
        userFolder: folder,
        examplesFolder: null,
        rendererFolder: join(folder, 'renderer'),
        port,
        threads: null,
        logicalProcessors: 1,
        memoryLimitBytes: null,
        onNextAddress: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'SERVE_PORT_UNAVAILABLE', retryable: true });
  });

  it('is nowhere while the pages are not built', async () => {
    await expect(serve({}, { rendererFolder: join(folder, 'none') })).rejects.toMatchObject({
      code: 'SERVE_RENDERER_MISSING',
      whatToDo: expect.stringContaining('npm run build') as string,
    });
  });
});

describe('the token', () => {
  it('works once; a second browser is told to take a new address, and gets in by the next one', async () => {
    const first = await ask(port, `/${token()}`);
    expect(first.status).toBe(200);
    expect(first.body).toContain('url=/');
    const [cookie = ''] = first.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    const second = await ask(port, `/${token()}`);
    expect(second).toMatchObject({ status: 403, body: expect.stringContaining('Take a new address') as string });
    expect(second.headers['set-cookie']).toBeUndefined();
    expect(next).toHaveLength(1);
    const other = await comeIn(next[0] ?? '');
    expect(await ask(port, '/', { headers: { cookie: other } })).toMatchObject({ status: 200 });
    expect(await ask(port, '/', { headers: { cookie: cookie.split(';')[0] } })).toMatchObject({ status: 200 });
  });

  it('leads a browser on that is in already, and is not used up by looking', async () => {
    expect(await ask(port, `/${token()}`, { method: 'HEAD' })).toMatchObject({ status: 403, body: '' });
    const cookie = await comeIn(server.address);
    const again = await ask(port, `/${token()}`, { headers: { cookie } });
    expect(again).toMatchObject({ status: 200, body: expect.stringContaining('url=/') as string });
  });

  it.each(['/', '/index.html', '/app.js', '/?token=', '/?token=wrong', '/app.js?token=TOKEN', '/nothing'])(
    'is what %s is closed without',
    async (path) => {
      const { status, body, headers } = await ask(port, path.replace('?token=TOKEN', token()));
      expect(status).toBe(403);
      expect(body).not.toContain('workbench</');
      expect(headers['set-cookie']).toBeUndefined();
    },
  );
});

describe('pages', () => {
  it.each([
    ['/', 'text/html; charset=utf-8', '<!doctype html>the workbench'],
    ['/index.html', 'text/html; charset=utf-8', '<!doctype html>the workbench'],
    ['/app.js', 'text/javascript; charset=utf-8', 'start()'],
    ['/app.css?v=2', 'text/css; charset=utf-8', 'body{}'],
    ['/assets/mark.svg', 'image/svg+xml', '<svg/>'],
  ])('%s is served as %s', async (path, contentType, body) => {
    const cookie = await comeIn(server.address);
    const answered = await ask(port, path, { headers: { cookie } });
    expect(answered).toMatchObject({ status: 200, body });
    expect(answered.headers['content-type']).toBe(contentType);
    const head = await ask(port, path, { method: 'HEAD', headers: { cookie } });
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe(String(body.length));
  });

  it.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/assets/../../secret.txt',
    '/..%2fsecret.txt',
    '/assets\\..\\..\\secret.txt',
    '//secret.txt',
    '/./app.js',
    '/app.js/',
    '/app.js%00',
    '/assets',
    '/assets/',
    '/link.txt',
    '/engine',
    '/%',
    'http://127.0.0.1/app.js',
  ])('there is nothing at %s', async (path) => {
    const cookie = await comeIn(server.address);
    const { status, body } = await ask(port, path, { headers: { cookie } });
    expect(status).toBe(404);
    expect(body).not.toContain('secret');
  });

  it('shows what was built after the start', async () => {
    const cookie = await comeIn(server.address);
    await ask(port, '/', { headers: { cookie } });
    writeFileSync(join(folder, 'renderer', 'late.js'), 'late()');
    await ask(port, '/', { headers: { cookie } });
    expect(await ask(port, '/late.js', { headers: { cookie } })).toMatchObject({ status: 200, body: 'late()' });
  });

  it('says so where a page can no longer be read, and goes on', async () => {
    const cookie = await comeIn(server.address);
    rmSync(join(folder, 'renderer'), { recursive: true });
    expect(await ask(port, '/', { headers: { cookie } })).toMatchObject({ status: 500 });
    expect(await ask(port, '/', { headers: {} })).toMatchObject({ status: 403 });
  });
});

describe('requests that no page of ours makes', () => {
  it.each(['evil.example', 'evil.example:PORT', '127.0.0.1', '127.0.0.1:1', '[::1]:PORT'])(
    'are refused under the name %s',
    async (host) => {
      const cookie = await comeIn(server.address);
      const headers = { cookie, host: host.replace('PORT', String(port)) };
      expect(await ask(port, '/', { headers })).toMatchObject({ status: 421 });
      expect(await ask(port, `/${token()}`, { headers })).toMatchObject({ status: 421 });
      expect(await statusOf(openSocket(port, cookie, headers))).toBe(421);
    },
  );

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
    'are refused as %s, from another page and from ours',
    async (method) => {
      const cookie = await comeIn(server.address);
      const from = (origin?: string) => ask(port, '/', { method, headers: { cookie, ...(origin ? { origin } : {}) } });
      for (const origin of [undefined, 'null', 'http://evil.example', `http://localhost:${port}`]) {
        expect(await from(origin), origin).toMatchObject({ status: 403 });
      }
      const own = await from(`http://127.0.0.1:${port}`);
      expect(own.status).toBe(405);
      expect(own.headers.allow).toBe('GET, HEAD');
    },
  );

  it('get the same headers as all others, and none that lets other pages read', async () => {
    const cookie = await comeIn(server.address);
    const origin = 'http://evil.example';
    const answers = [
      await ask(port, '/', { headers: { cookie, origin } }),
      await ask(port, '/nothing', { headers: { cookie } }),
      await ask(port, '/'),
      await ask(port, '/', { headers: { host: 'evil.example' } }),
      await ask(port, '/', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET' } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 403, 421, 403]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });
});

describe('the engine behind a socket', () => {
  it('is one for all tabs: each sees the jobs of the others', async () => {
    await serve(waiting);
    const cookie = await comeIn(server.address);
    const [one, other] = [await openTab(port, cookie), await openTab(port, cookie)];
    expect(await one.remote.call('presets', {})).toMatchObject({ presets: expect.any(Array) as unknown });
    const calls = ['a', 'b'].map((model) =>
      one.remote.call('verify', { model, against: null }).catch((error: WorkbenchError) => error.code),
    );
    await expect.poll(() => other.seen.jobs.map(({ status }) => status)).toEqual(['running', 'waiting']);
    await other.remote.call('jobs.cancel', { job: 'job-2' });
    expect(await calls[1]).toBe('JOB_CANCELLED');
    one.socket.terminate();
    expect(await calls[0]).toBe('ENGINE_GONE');
    expect(other.seen.jobs[0]?.status).toBe('running');
    expect(await server.close()).toMatchObject([{ code: 'JOB_INTERRUPTED', where: { job: 'run of a' } }]);
  });

  it.each([
    ['without a cookie', { cookie: undefined }, '/engine', 403],
    ['with a forged cookie', { cookie: 'lathe-PORT=x' }, '/engine', 403],
    ['from another page', { origin: 'http://evil.example' }, '/engine', 403],
    ['from a sandboxed page', { origin: 'null' }, '/engine', 403],
    ['from a page of another server here', { origin: 'http://127.0.0.1:1' }, '/engine', 403],
    ['from a page under another name', { origin: 'http://localhost:PORT' }, '/engine', 403],
    ['without an origin', { origin: undefined }, '/engine', 403],
    ['at another address', {}, '/', 404],
    ['with the token in place of the cookie', { cookie: undefined }, '/engine?TOKEN', 403],
  ])('is closed %s', async (_, changes, path, status) => {
    const cookie = await comeIn(server.address);
    const headers = Object.fromEntries(
      Object.entries(changes).map(([name, value]) => [name, value?.replace('PORT', String(port))]),
    );
    const asked = path.replace('?TOKEN', new URL(next[0] ?? '').search);
    expect(await statusOf(openSocket(port, cookie, headers, asked))).toBe(status);
  });

  it('takes 16 tabs, and another one when one has gone', async () => {
    const cookie = await comeIn(server.address);
    const tabs = [];
    for (let n = 0; n < 16; n++) tabs.push(await openTab(port, cookie));
    expect(await statusOf(openSocket(port, cookie))).toBe(503);
    tabs[0]?.remote.close();
    await expect.poll(() => statusOf(openSocket(port, cookie))).toBe(101);
  });

  it('lets a tab go that sends too much at once, and no other', async () => {
    const cookie = await comeIn(server.address);
    const [bad, good] = [await openTab(port, cookie), await openTab(port, cookie)];
    const closed = once(bad.socket, 'close');
    bad.socket.on('error', () => undefined);
    bad.socket.send(`"${'x'.repeat(8 << 20)}"`);
    expect((await closed)[0]).toBe(1009);
    expect(await good.remote.call('settings.get', {})).toMatchObject({ theme: 'system' });
  });

  it.each([
    ['is not JSON', 'Good morning!', 1007],
    ['is not text', Buffer.from([1, 2]), 1003],
    ['is not of the protocol', '{"type":"weather"}', 1000],
  ])('lets a tab go whose message %s', async (_, message, code) => {
    const cookie = await comeIn(server.address);
    const socket = openSocket(port, cookie);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.send(message);
    expect((await closed)[0]).toBe(code);
  });

  it('has the threads and the memory of the flags, then of the settings, then of the machine', async () => {
    const given: unknown[] = [];
    const noting: Partial<Engine> = {
      inspect: ({ threads, memoryLimitBytes }) => {
        given.push([threads, memoryLimitBytes]);
        return Promise.reject(new JobError({ code: 'JOB_CANCELLED', what: 'Seen.', whatToDo: '' }));
      },
    };
    async function look(options: Partial<WorkbenchServerOptions>) {
      await serve(noting, options);
      const { remote } = await openTab(port, await comeIn(server.address));
      await remote.call('inspect', { model: 'm', statistics: false }).catch(() => undefined);
      return remote;
    }
    const remote = await look({});
    await remote.call('settings.set', { threads: 2, memoryLimitBytes: 4 * 2 ** 30 });
    await look({});
    await look({ threads: 1, memoryLimitBytes: 2 ** 31 });
    expect(given).toEqual([
      [3, null],
      [2, 4 * 2 ** 30],
      [1, 2 ** 31],
    ]);
  });

  it('takes no more calls at its end, and closes its sockets', async () => {
    const cookie = await comeIn(server.address);
    const { socket } = await openTab(port, cookie);
    const closed = once(socket, 'close');
    expect(await server.close()).toEqual([]);
    expect((await closed)[0]).toBe(1001);
    await expect(ask(port, '/')).rejects.toThrow('ECONNREFUSED');
  });
});
