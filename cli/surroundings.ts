/** Everything of the process and the system that the command line touches, so that tests can stand in for it. */
import type { Engine, EngineOptions } from '../workers/engine/index.ts';

/** Of a stream, what the command line needs. */
export interface OutputStream {
  write: (text: string) => void;
  readonly isTTY?: boolean | undefined;
  /** Of a terminal. */
  readonly columns?: number | undefined;
}

export interface Surroundings {
  /** Without the program's own two. */
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  homeFolder: string;
  workingFolder: string;
  logicalProcessors: number;
  version: string;
  /** The built addon. */
  kernelsPath: string;
  /** The built file that threads of the engine run. */
  inferenceWorkerPath: string;
  /** The built pages of the workbench. */
  rendererFolder: string;
  /** Models and texts that ship with the program. */
  examplesFolder: string;
  stdout: OutputStream;
  stderr: OutputStream;
  /** Milliseconds, only going forward. */
  now: () => number;
  /** Calls back at every SIGINT and SIGTERM; the answer stops that. */
  onSignal: (listener: () => void) => () => void;
  /** Calls back with what was thrown where nobody could catch it. */
  onCrash: (listener: (error: unknown) => void) => void;
  /** Ends the process at once. */
  exitNow: (code: number) => void;
  /** Loads the engine, which nothing needs before a command is known. */
  openEngine: (options: EngineOptions) => Promise<Engine>;
}
