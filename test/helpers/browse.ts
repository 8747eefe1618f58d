import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { QueuedJob } from '../../core/contract/engine-protocol.ts';
import { connectEngine } from '../../workers/host/connect-engine.ts';
import { socketChannel } from '../../workers/serve/socket-channel.ts';

export interface Asked {
  method?: string;
  headers?: OutgoingHttpHeaders;
}

export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Asks as a browser would, or as no browser would: path and headers are sent as they are. */
export function ask(port: number, path: string, { method = 'GET', headers = {} }: Asked = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Opens an address that works once; the answer is what the browser sends from then on. */
export async function comeIn(address: string): Promise<string> {
  const { port, pathname, search } = new URL(address);
  const { headers } = await ask(Number(port), `${pathname}${search}`);
  return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
}

/** A socket to `/engine`, as a page of the server opens it unless headers say otherwise. */
export function openSocket(
  port: number,
  cookie: string,
  headers: OutgoingHttpHeaders = {},
  path = '/engine',
): WebSocket {
  const own = { origin: `http://127.0.0.1:${port}`, cookie };
  return new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers: Object.fromEntries(Object.entries({ ...own, ...headers }).filter(([, value]) => value !== undefined)),
  });
}

/** The status by which a socket is refused; 101 where it is not. */
export function statusOf(socket: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      socket.close();
      resolve(101);
    });
    socket.on('unexpected-response', (_, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('error', reject);
  });
}

/** A tab: a driver of the engine, and the jobs that it sees. */
export async function openTab(port: number, cookie: string) {
  const socket = openSocket(port, cookie);
  await once(socket, 'open');
  const seen = { jobs: [] as readonly QueuedJob[] };
  const remote = await connectEngine(socketChannel(socket), (jobs) => (seen.jobs = jobs));
  return { remote, seen, socket };
}
