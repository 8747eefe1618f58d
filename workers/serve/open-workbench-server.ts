import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { ResourceError, type WorkbenchError } from '../../core/errors.ts';
import type { Engine } from '../engine/index.ts';
import { openResourcePool } from '../engine/job-scheduling.ts';
import { programVersion } from '../engine/run-identity.ts';
import { openDesk, type DeskOptions } from '../host/open-desk.ts';
import { EngineServer } from '../host/serve-engine.ts';
import { pageServer } from './answer-request.ts';
import { EngineSockets } from './engine-sockets.ts';
import { listRendererFiles } from './renderer-files.ts';
import { SessionDoor } from './session-door.ts';

/** Never anything else: the whole network would see what is served. */
const LOOPBACK = '127.0.0.1';
/** Sockets of pages and their files; browsers open few at once. */
const MAX_CONNECTIONS = 128;
const REQUEST_TIMEOUT_MS = 30_000;
/** A job takes all threads, and the others are seen in line. */
const JOBS_AT_ONCE = 1;

export interface WorkbenchServerOptions extends DeskOptions {
  engine: Engine;
  /** The built renderer. */
  rendererFolder: string;
  /** 0: any that is free. */
  port: number;
  /** Of all jobs together; null: as the settings have it, or `logicalProcessors`. */
  threads: number | null;
  logicalProcessors: number;
  /** Of the process; null: as the settings have it. */
  memoryLimitBytes: number | null;
  /** An address was used up; this is the next one. */
  onNextAddress: (address: string) => void;
}

export interface WorkbenchServer {
  /** With its token, which works once. */
  readonly address: string;
  /**
   * Stops jobs and leaves.
   *
   * @returns how those jobs ended that can be gone on with
   */
  close(): Promise<WorkbenchError[]>;
}

/**
 * Serves the workbench to browsers of this machine: the built renderer, and the engine behind it.
 *
 * @throws ResourceError SERVE_RENDERER_MISSING, SERVE_PORT_UNAVAILABLE; what reading the settings throws
 */
export async function openWorkbenchServer(options: WorkbenchServerOptions): Promise<WorkbenchServer> {
  const { engine, rendererFolder, port: wanted, logicalProcessors, onNextAddress } = options;
  await listRendererFiles(rendererFolder);
  const desk = openDesk(options);
  const settings = await desk.settings.get();
  const threads = options.threads ?? settings.threads ?? logicalProcessors;
  const memoryLimitBytes = options.memoryLimitBytes ?? settings.memoryLimitBytes;
  const pool = openResourcePool(threads, memoryLimitBytes);
  const version = programVersion();
  const served = new EngineServer({ engine, desk, pool, memoryLimitBytes, concurrency: JOBS_AT_ONCE, version });

  const server = createServer({ maxHeaderSize: 16 << 10 });
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  const connections = new Set<Socket>();
  server.on('connection', (connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
  });
  await listen(server, wanted);
  const { port } = server.address() as AddressInfo;
  const door = new SessionDoor(port);
  const addressNow = () => `http://${LOOPBACK}:${port}/?token=${door.token}`;
  const answer = pageServer({ port, door, rendererFolder, onUsed: () => onNextAddress(addressNow()) });
  const sockets = new EngineSockets(served, door, port);
  server.on('request', (request, response) => void answer(request, response));
  server.on('upgrade', (request, connection, head) => sockets.upgrade(request, connection, head));

  return {
    address: addressNow(),
    async close() {
      server.close();
      const interrupted = await served.close();
      await sockets.close();
      for (const connection of connections) connection.destroy();
      return interrupted;
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(portUnavailable(port, cause)));
    server.listen({ host: LOOPBACK, port, exclusive: true }, resolve);
  });
}

function portUnavailable(port: number, cause: Error): ResourceError {
  const why = 'code' in cause && cause.code === 'EADDRINUSE' ? 'another program has it' : cause.message;
  return new ResourceError({
    code: 'SERVE_PORT_UNAVAILABLE',
    what: `The port ${port} of ${LOOPBACK} cannot be had: ${why}.`,
    whatToDo: 'Name another one with --port, or leave it away.',
    retryable: true,
    cause,
  });
}
