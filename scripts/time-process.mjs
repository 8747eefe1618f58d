/** Whole processes as the kernel sees them: wall clock, CPU seconds, peak memory. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Often enough that the last look is close before the end; VmHWM itself never falls. */
const PEAK_INTERVAL_MS = 5;

/** Runs a command; rejects with what it printed if it does not end with 0. */
function run(command, args, { env = {}, onStart = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = [[], []];
    child.stdout.on('data', (chunk) => stdout.push(chunk));
    child.stderr.on('data', (chunk) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const [out, err] = [stdout, stderr].map((chunks) => Buffer.concat(chunks).toString());
      if (code === 0) resolve({ stdout: out, stderr: err });
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${err}${out}`));
    });
    onStart(child.pid);
  });
}

/** Runs a command for what it prints. */
export async function outputOf(command, args, options) {
  return (await run(command, args, options)).stdout;
}

/**
 * Times one process by the shell's own `time`: its times are those of the child alone.
 *
 * @returns wallSeconds; cpuSeconds, user and system together
 */
async function timeOnce(command, args, env) {
  const script = 'exec 3>&1 >/dev/null; TIMEFORMAT="%3R %3U %3S"; { time "$@" 2>/dev/null; } 2>&3';
  const printed = await outputOf('bash', ['-c', script, 'bash', command, ...args], { env });
  const [wallSeconds, user, system] = printed.trim().split(' ').map(Number);
  return { wallSeconds, cpuSeconds: user + system };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Runs every command once to warm up, then all of them in turn, `runs` times, so that a busy minute of the machine
 * hits all alike.
 *
 * @param commands name -> { command, args, env, before }; `before` runs untimed ahead of every run
 * @param isWarm the same commands have just run: none is run once more
 * @returns name -> { wallSeconds, bestWallSeconds, worstWallSeconds, cpuSeconds, runs }, medians unless said
 */
export async function timeInTurn(commands, runs, isWarm = false) {
  const names = Object.keys(commands);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = isWarm ? 0 : -1; round < runs; round++) {
    for (const name of names) {
      const { command, args, env, before } = commands[name];
      before?.();
      const time = await timeOnce(command, args, env);
      if (round >= 0) times[name].push(time);
    }
  }
  return Object.fromEntries(
    names.map((name) => {
      const walls = times[name].map(({ wallSeconds }) => wallSeconds);
      const cpuSeconds = median(times[name].map((time) => time.cpuSeconds));
      const bounds = { bestWallSeconds: Math.min(...walls), worstWallSeconds: Math.max(...walls) };
      return [name, { wallSeconds: median(walls), ...bounds, cpuSeconds, runs }];
    }),
  );
}

/** Peak resident memory of one process, in bytes, as the kernel counts it (VmHWM); null where there is no /proc. */
export async function peakMemoryOf(command, args, env) {
  let peakBytes = null;
  let timer;
  const { stdout } = await run(command, args, {
    env,
    onStart: (pid) => {
      timer = setInterval(() => {
        try {
          const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
          if (found) peakBytes = Math.max(peakBytes ?? 0, Number(found[1]) * 1024);
        } catch {
          // It has ended, or this is not Linux.
        }
      }, PEAK_INTERVAL_MS);
    },
  }).finally(() => clearInterval(timer));
  return { peakBytes, stdout };
}
