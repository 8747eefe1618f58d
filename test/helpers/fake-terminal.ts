import { runCli } from '../../cli/run-cli.ts';
import type { Surroundings } from '../../cli/surroundings.ts';
import type { Engine, EngineOptions } from '../../workers/engine/index.ts';
import { fakeEngine } from './fake-engine.ts';

export interface FakeTerminalOptions {
  engine?: Partial<Engine>;
  env?: Record<string, string>;
  isStderrTerminal?: boolean;
  isStdoutTerminal?: boolean;
  rendererFolder?: string;
}

/** Everything around the command line, in memory: what was printed, signals to send, how the program was ended. */
export function createFakeTerminal(options: FakeTerminalOptions = {}) {
  const printed = { stdout: '', stderr: '' };
  const signalListeners = new Set<() => void>();
  const crashListeners = new Set<(error: unknown) => void>();
  const opened: EngineOptions[] = [];
  const endedAtOnce: number[] = [];
  const clock = { ms: 1_000_000 };
  const shared = {
    env: { TERM: 'xterm', ...options.env },
    platform: 'linux',
    homeFolder: '/home/user',
    workingFolder: '/work-folder',
    logicalProcessors: 8,
    version: '1.2.3',
    kernelsPath: '/program/lathe-kernels.node',
    inferenceWorkerPath: '/program/inference-worker.js',
    rendererFolder: options.rendererFolder ?? '/program/renderer',
    examplesFolder: '/program/examples',
    stdout: { write: (text: string) => void (printed.stdout += text), isTTY: options.isStdoutTerminal },
    stderr: { write: (text: string) => void (printed.stderr += text), isTTY: options.isStderrTerminal, columns: 80 },
    now: () => clock.ms,
    onSignal(listener: () => void) {
      signalListeners.add(listener);
      return () => signalListeners.delete(listener);
    },
    onCrash: (listener: (error: unknown) => void) => void crashListeners.add(listener),
    exitNow: (code: number) => void endedAtOnce.push(code),
    openEngine(engineOptions: EngineOptions) {
      opened.push(engineOptions);
      return Promise.resolve(fakeEngine(options.engine));
    },
  } satisfies Omit<Surroundings, 'argv'>;
  return {
    clock,
    printed,
    /** What the engine was opened with, each time. */
    opened,
    /** Codes of ends that did not wait for anything. */
    endedAtOnce,
    hasSignalListeners: () => signalListeners.size > 0,
    signal: () => signalListeners.forEach((listener) => listener()),
    crash: (error: unknown) => crashListeners.forEach((listener) => listener(error)),
    run: (...argv: string[]) => runCli({ ...shared, argv }),
    json: <T = Record<string, unknown>>() => JSON.parse(printed.stdout) as T,
    stderrLines: () => printed.stderr.split('\n').filter((line) => line !== ''),
  };
}
