import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/lathe.js', import.meta.url));

/** Tests never touch the user's own LATHE_HOME; every test process has one, removed at its end. */
const HOME = join(tmpdir(), `lathe-test-home-${process.pid}`);
process.on('exit', () => rmSync(HOME, { recursive: true, force: true }));

/** Long before a test's own limit, so that a hang is reported with what was printed until then. */
const DEFAULT_LIMIT_MS = 100_000;

export interface RunLatheOptions {
  cwd?: string;
  /** Added to this process's environment; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Sent one after the other, each once the pattern is found in what stderr has said since the one before. */
  signals?: { name: NodeJS.Signals; after: RegExp; delayMs?: number }[];
  /** Closes the reading end of stdout once it has given this many bytes, as `| head` does. */
  closeStdoutAfterBytes?: number;
  /** Killed, and the call rejected, when it takes longer. */
  limitMs?: number;
}

export interface LatheRun {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  durationMs: number;
  /** The one JSON document that stdout must be; fails if it is anything else. The caller knows its type. */
  json: <T = Record<string, unknown>>() => T;
  /** The JSON objects among stderr's lines (`--events ndjson`). */
  events: () => Record<string, unknown>[];
}

/** Starts the built program with these arguments and waits for its end. stdin is closed, neither output is a TTY. */
export function runLathe(args: readonly string[], options: RunLatheOptions = {}): Promise<LatheRun> {
  const startedAt = performance.now();
  const { cwd, env = {}, closeStdoutAfterBytes = Infinity, limitMs = DEFAULT_LIMIT_MS } = options;
  const signals = [...(options.signals ?? [])];
  const merged = Object.entries({ ...process.env, LATHE_HOME: HOME, ...env }).filter(
    ([, value]) => value !== undefined,
  );
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd,
      env: Object.fromEntries(merged),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let searchedFrom = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      stdoutBytes += chunk.length;
      if (stdoutBytes >= closeStdoutAfterBytes) child.stdout.destroy();
    });
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (chunk: string) => {
      stderr += chunk;
      const next = signals[0];
      if (next === undefined || !next.after.test(stderr.slice(searchedFrom))) return;
      signals.shift();
      searchedFrom = stderr.length;
      setTimeout(() => child.kill(next.name), next.delayMs ?? 0);
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`lathe ${args.join(' ')} still ran after ${limitMs} ms; stderr so far:\n${stderr}`));
    }, limitMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const text = Buffer.concat(stdout).toString('utf8');
      resolve({
        code,
        signal,
        stdout: text,
        stderr,
        durationMs: performance.now() - startedAt,
        json: <T>() => parseOneDocument(text, stderr) as T,
        events: () =>
          stderr
            .split('\n')
            .filter((line) => line.startsWith('{'))
            .map((line) => JSON.parse(line) as Record<string, unknown>),
      });
    });
  });
}

function parseOneDocument(stdout: string, stderr: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`stdout is not one JSON document:\n${stdout}\nstderr:\n${stderr}`);
  }
}
