import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { REFUSAL_PAGE, WELCOME_PAGE } from './door-pages.ts';
import { isOwnHost, isOwnOrigin } from './loopback-names.ts';
import { listRendererFiles, type RendererFiles } from './renderer-files.ts';
import { SAFE_HEADERS } from './safe-headers.ts';
import type { SessionDoor } from './session-door.ts';

export interface AnswerTools {
  port: number;
  door: SessionDoor;
  rendererFolder: string;
  /** A token was used up: the door has another one. */
  onUsed: () => void;
}

interface Answer {
  status: number;
  contentType: string;
  body: string | Buffer;
  headers?: Record<string, string>;
}

const HTML = 'text/html; charset=utf-8';

/** What answers requests for pages; never rejects. */
export function pageServer(tools: AnswerTools): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let files: RendererFiles | null = null;

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { door, port, rendererFolder, onUsed } = tools;
    const { method = '', headers, url = '' } = request;
    if (!isOwnHost(headers.host, port)) return refusal(421, wrongName(port));
    if (method !== 'GET' && method !== 'HEAD') {
      if (!isOwnOrigin(headers.origin, headers.host, port)) return refusal(403, 'This page may not ask that here.');
      return { ...refusal(405, 'Only GET and HEAD.'), headers: { Allow: 'GET, HEAD' } };
    }
    const [path = '', query] = split(url, '?');
    const token = path === '/' && query !== undefined ? new URLSearchParams(query).get('token') : null;
    // Looking at an address without opening it (HEAD) must not use it up.
    if (token !== null && method === 'GET') {
      const cookie = door.exchange(token);
      if (cookie !== null) {
        onUsed();
        return { status: 200, contentType: HTML, body: WELCOME_PAGE, headers: { 'Set-Cookie': cookie } };
      }
    }
    if (!door.isInside(headers.cookie)) return { status: 403, contentType: HTML, body: REFUSAL_PAGE };
    // The address that this browser came in by: it leads on, and goes from the address bar.
    if (token !== null) return { status: 200, contentType: HTML, body: WELCOME_PAGE };
    // Listed anew with each page, so that a build shows without a new start.
    if (files === null || path === '/') files = await listRendererFiles(rendererFolder);
    const file = files.get(path);
    if (file === undefined) return refusal(404, 'There is nothing here.');
    return { status: 200, contentType: file.contentType, body: await readFile(file.path) };
  }

  return async (request, response) => {
    const { status, contentType, body, headers } = await answer(request).catch(() =>
      refusal(500, 'The page cannot be read.'),
    );
    request.resume();
    response.writeHead(status, {
      ...SAFE_HEADERS,
      ...headers,
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

function split(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function wrongName(port: number): string {
  return `Open http://127.0.0.1:${port} instead; a port forward must have this number at both ends.`;
}

function refusal(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}
