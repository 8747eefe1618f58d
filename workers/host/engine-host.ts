/**
 * An engine in a process of its own: forked with an IPC channel, or started with its messages as lines on stdin and stdout.
 *
 * Its one argument is JSON (`HostOptions`). It ends when its driver leaves: its jobs are stopped, and go on with a resume.
 */
import { homedir } from 'node:os';
import { openEngine } from '../engine/index.ts';
import { openResourcePool } from '../engine/job-scheduling.ts';
import { programVersion } from '../engine/run-identity.ts';
import { lineChannel, processChannel } from './channel.ts';
import { openDesk } from './open-desk.ts';
import { EngineServer } from './serve-engine.ts';

/** Jobs stop within a fraction of a second; one that hangs must not keep the process. */
const MAX_STOP_MS = 10_000;

export interface HostOptions {
  kernelsPath: string;
  inferenceWorkerPath: string;
  home: string;
  /** Left out: the examples did not come along. */
  examplesFolder?: string;
  threads: number;
  memoryLimitBytes: number | null;
  concurrency: number;
}

function runHost(options: HostOptions): void {
  const { threads, memoryLimitBytes, concurrency, home, examplesFolder = null } = options;
  const server = new EngineServer({
    engine: openEngine(options),
    desk: openDesk({ home, userFolder: homedir(), examplesFolder }),
    pool: openResourcePool(threads, memoryLimitBytes),
    memoryLimitBytes,
    concurrency,
    version: programVersion(),
  });
  // Read when the library is loaded, long after this.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  const isForked = process.send !== undefined;
  const channel = isForked ? processChannel(process) : lineChannel(process.stdin, process.stdout);
  server.connect(channel, () => {
    setTimeout(() => process.exit(0), MAX_STOP_MS).unref();
    void server.close().finally(() => process.exit(0));
  });
}

runHost(JSON.parse(process.argv[2] ?? '') as HostOptions);
