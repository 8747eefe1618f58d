/** `lathe` as a child process that is killed, and what its journal says then. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inRepository } from '../../scripts/run-command.mjs';

const PROGRAM = inRepository('dist/cli/lathe.js');
/** Far beyond any of these runs: one that hangs is a failure, not a wait. */
const LIMIT_MS = 180_000;

/** Starts `lathe …` with its events on stderr; a place has its LATHE_HOME, and perhaps more of an environment. */
function startLathe({ home, env = {} }, args) {
  const child = spawn(process.execPath, [PROGRAM, ...args, '--json', '--events', 'ndjson'], {
    env: { ...process.env, ...env, LATHE_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, events] = [[], []];
  let rest = '';
  child.stdout.on('data', (chunk) => stdout.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    const at = performance.now();
    for (const line of lines) events.push({ at, line });
  });
  const run = { child, events, isOver: false };
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  run.ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      run.isOver = true;
      resolve({ code, signal, stdout: Buffer.concat(stdout).toString(), events: parseEvents(events) });
    });
  });
  return run;
}

function parseEvents(events) {
  return events.filter(({ line }) => line.startsWith('{')).map(({ at, line }) => ({ at, ...JSON.parse(line) }));
}

/** Runs to the end; the time between the first and the last sight of a growing journal comes with it. */
export async function runToEnd(place, args) {
  const { home } = place;
  const run = startLathe(place, args);
  const before = journalBytes(home);
  let [size, firstAt, lastAt] = [before, null, null];
  while (!run.isOver) {
    const now = journalBytes(home);
    if (now !== size) {
      lastAt = performance.now();
      firstAt ??= lastAt;
      size = now;
    }
    await sleep(1);
  }
  return { ...(await run.ended), spanMs: firstAt === null ? 0 : lastAt - firstAt };
}

/** What stands in the journal so long before a kill has been safe for long. */
export const KEPT_MS = 1000;

/**
 * Kills a run so many milliseconds after its first journal record.
 *
 * @returns as `runToEnd`, with killedAt, and the journals as they stood `KEPT_MS` before; `isKilled` is false where it had
 * ended before
 */
export async function runAndKill(place, args, delayMs) {
  const { home } = place;
  const before = journalBytes(home);
  const run = startLathe(place, args);
  while (!run.isOver && journalBytes(home) === before) await sleep(1);
  const at = performance.now() + delayMs;
  let journalsBefore = [];
  if (delayMs > KEPT_MS) {
    await Promise.race([sleep(delayMs - KEPT_MS), run.ended]);
    journalsBefore = readJournals(home);
  }
  // The last stretch is not slept: timers are a millisecond or two late.
  const restMs = at - performance.now() - 3;
  if (restMs > 0) await Promise.race([sleep(restMs), run.ended]);
  while (!run.isOver && performance.now() < at) await new Promise(setImmediate);
  const killedAt = performance.now();
  if (!run.isOver) run.child.kill('SIGKILL');
  const end = await run.ended;
  return { ...end, killedAt, journalsBefore, isKilled: end.signal === 'SIGKILL' };
}

function runIds(home) {
  try {
    return readdirSync(join(home, 'runs')).sort();
  } catch {
    return [];
  }
}

function journalBytes(home) {
  return runIds(home).reduce((sum, runId) => {
    const facts = statSync(join(home, 'runs', runId, 'journal.jsonl'), { throwIfNoEntry: false });
    return sum + (facts?.size ?? 0);
  }, 0);
}

/** The whole lines of every run's journal, oldest run first. */
export function readJournals(home) {
  return runIds(home).map((runId) => {
    const text = readFileSync(join(home, 'runs', runId, 'journal.jsonl'), 'utf8');
    const lines = text.split('\n').slice(0, -1);
    return { runId, lines: lines.flatMap(parseLine) };
  });
}

/** A torn line in the midst of a journal is left away, as the product does. */
function parseLine(text) {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

/** Files in LATHE_HOME that no run should leave, once it is over. */
export function strangersAt(home) {
  const paths = readdirSync(home, { recursive: true });
  return paths.filter(
    (path) => !/^(?:runs|runs\/[^/]+|runs\/[^/]+\/(?:journal\.jsonl|log(?:\.1)?\.ndjson|lock))$/.test(path),
  );
}
