/** What every script here shares: where the repository is, how a command is run, how a time is printed. No dependency. */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));

/** Path inside the repository. */
export function inRepository(...parts) {
  return join(REPOSITORY, ...parts);
}

/** Whether the module with this `import.meta.url` is the program that was started. */
export function isProgram(moduleUrl) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(moduleUrl);
}

/** An expected end: its message is printed without a stack, and the program exits 1. */
export class Stop extends Error {}

/** Runs a script's `main`, prints a `Stop` plainly and anything else with its stack. */
export async function runProgram(main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Stop ? `\n${error.message}` : error);
    process.exitCode = 1;
  }
}

/**
 * Runs a command to its end in the repository.
 *
 * @param output 'inherit' shows what it prints; 'capture' returns it; 'both' does both
 * @returns code (null when it was killed or could not be started), stdout, stderr, durationMs
 */
export function runCommand(command, args, { cwd = REPOSITORY, env = {}, output = 'inherit' } = {}) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', output === 'inherit' ? 'inherit' : 'pipe', output === 'inherit' ? 'inherit' : 'pipe'],
    });
    const stdout = [];
    const stderr = [];
    child.stdout?.on('data', (chunk) => {
      stdout.push(chunk);
      if (output === 'both') process.stdout.write(chunk);
    });
    child.stderr?.on('data', (chunk) => {
      stderr.push(chunk);
      if (output === 'both') process.stderr.write(chunk);
    });
    function finish(code, extra) {
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8') + extra,
        durationMs: performance.now() - startedAt,
      });
    }
    child.on('error', (error) => finish(null, error.message));
    child.on('close', (code) => finish(code, ''));
  });
}

/** 0.4 s, 12 s, 3 min 05 s. */
export function formatDuration(durationMs) {
  const seconds = durationMs / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** 1.5 KiB, 13.3 MiB. */
export function formatBytes(sizeBytes) {
  if (sizeBytes < 1024) return `${sizeBytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = sizeBytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** A program of an installed package, to be started with `process.execPath`: works without a shell on every system. */
export function packageProgram(...parts) {
  return inRepository('node_modules', ...parts);
}
