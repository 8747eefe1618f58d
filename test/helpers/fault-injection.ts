/** Faults from outside for the built program, by a small library that is loaded before it: see fault-injection.c. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('./fault-injection.c', import.meta.url));
/** Ignored by git. */
const BUILD_FOLDER = fileURLToPath(new URL('../../.tmp', import.meta.url));

/** LD_PRELOAD and /proc are Linux's; elsewhere these tests are skipped, and counted as skipped. */
export const canInjectFaults = process.platform === 'linux';

export type Fault =
  | { mode: 'count' | 'short' }
  /** Call `at` fails, once. */
  | { mode: 'fail'; at: number; error: 'EIO' | 'ENOSPC' | 'EACCES' }
  /** From call `at` on the disk is full. */
  | { mode: 'full'; at: number }
  | { mode: 'kill-before' | 'kill-midway'; at: number }
  | { mode: 'delay'; delayMs: number }
  /** Before its `at`-th read, this file is cut to half its size. */
  | { mode: 'shrink'; path: string; at: number };

/** A call that changes something below a watched folder. */
export interface WatchedCall {
  number: number;
  kind: 'open' | 'write' | 'copy' | 'truncate' | 'sync' | 'rename' | 'mkdir' | 'unlink' | 'rmdir';
  path: string;
}

/** The compiled library, made once for each state of its source; a test process may be ended before it could remove it. */
function faultLibrary(): string {
  const digest = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const path = join(BUILD_FOLDER, `fault-injection-${digest}.so`);
  if (existsSync(path)) return path;
  mkdirSync(BUILD_FOLDER, { recursive: true });
  const temporary = `${path}.${process.pid}`;
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', temporary, SOURCE, '-ldl']);
  // Whole when it appears: two test processes may come here at once.
  renameSync(temporary, path);
  return path;
}

/**
 * The environment in which a program meets this fault.
 *
 * @param folders absolute and without links; only calls on what lies in them are counted
 * @param log a file outside of them that gets a line for each counted call
 */
export function faultEnvironment(fault: Fault, folders: readonly string[], log: string): Record<string, string> {
  return {
    LD_PRELOAD: faultLibrary(),
    // Node's newer versions may write through io_uring, past the C library.
    UV_USE_IO_URING: '0',
    LATHE_FAULT_FOLDERS: folders.join(':'),
    LATHE_FAULT_LOG: log,
    LATHE_FAULT_MODE: fault.mode,
    ...('at' in fault ? { LATHE_FAULT_AT: String(fault.at) } : {}),
    ...(fault.mode === 'fail' ? { LATHE_FAULT_ERRNO: String(constants.errno[fault.error]) } : {}),
    ...(fault.mode === 'full' ? { LATHE_FAULT_ERRNO: String(constants.errno.ENOSPC) } : {}),
    ...(fault.mode === 'delay' ? { LATHE_FAULT_DELAY_MS: String(fault.delayMs) } : {}),
    ...(fault.mode === 'shrink' ? { LATHE_FAULT_SHRINK: fault.path } : {}),
  };
}

/** What the program did to the watched folders, in order; empty if it did nothing. */
export function readWatchedCalls(log: string): WatchedCall[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [number = '', kind = '', ...path] = line.split(' ');
      return { number: Number(number), kind: kind as WatchedCall['kind'], path: path.join(' ') };
    });
}
