import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { EngineServer } from '../host/serve-engine.ts';
import { isOwnHost, isOwnOrigin } from './loopback-names.ts';
import { SAFE_HEADERS } from './safe-headers.ts';
import type { SessionDoor } from './session-door.ts';
import { socketChannel } from './socket-channel.ts';

/** Recipes have at most 512 KiB; calls with long lists of paths are far below too. */
const MAX_MESSAGE_BYTES = 8 << 20;
/** Tabs of one person. */
const MAX_SOCKETS = 16;
const GOING_AWAY = 1001;
/** A browser answers a close at once; one that does not is not waited for. */
const MAX_CLOSE_MS = 1000;

/** The sockets at `/engine`: each page drives the one engine over one of them. */
export class EngineSockets {
  readonly #sockets = new Set<WebSocket>();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
  });
  readonly #engine: EngineServer;
  readonly #door: SessionDoor;
  readonly #port: number;

  constructor(engine: EngineServer, door: SessionDoor, port: number) {
    this.#engine = engine;
    this.#door = door;
    this.#port = port;
  }

  /** Takes over the connection of a request to upgrade. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    connection.on('error', () => connection.destroy());
    const status = this.#refusal(request);
    if (status !== null) {
      refuse(connection, status);
      return;
    }
    this.#webSockets.handleUpgrade(request, connection, head, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      this.#engine.connect(socketChannel(socket));
    });
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    const sockets = [...this.#sockets];
    const closed = sockets.map((socket) => new Promise<void>((resolve) => socket.on('close', () => resolve())));
    for (const socket of sockets) socket.close(GOING_AWAY);
    const timer = setTimeout(() => sockets.forEach((socket) => socket.terminate()), MAX_CLOSE_MS);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  /** Null: it may come in. Browsers let any page open a socket to anywhere: Origin and cookie are what keeps others out. */
  #refusal({ method, headers, url }: IncomingMessage): number | null {
    if (!isOwnHost(headers.host, this.#port)) return 421;
    if (!isOwnOrigin(headers.origin, headers.host, this.#port)) return 403;
    if (!this.#door.isInside(headers.cookie)) return 403;
    if (method !== 'GET') return 405;
    if (url !== '/engine') return 404;
    return this.#sockets.size < MAX_SOCKETS ? null : 503;
  }
}

function refuse(connection: Duplex, status: number): void {
  const headers = { ...SAFE_HEADERS, Connection: 'close', 'Content-Length': '0' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  connection.end([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', ''].join('\r\n'));
}
