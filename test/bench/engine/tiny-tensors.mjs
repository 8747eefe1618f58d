/** Ten thousand tensors of almost nothing, compressed and restored: what is left is the engine's own time. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CODECS, compressCommand, proveRoundTrip, removeFolder, restoreCommand } from '../lossless/lathe-commands.mjs';
import { makeManyShards } from '../lossless/make-weights.mjs';

/** Runs a command with its events on stderr, each with the time at which it came. */
function runWatched({ command, args, env, before }) {
  before?.();
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const watched = args.filter((arg) => arg !== '--quiet');
    const child = spawn(command, [...watched, '--events', 'ndjson'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const events = [];
    let rest = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) events.push({ at: performance.now(), event: JSON.parse(line).event });
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve({ seconds: (performance.now() - startedAt) / 1000, events });
      else reject(new Error(`${args.join(' ')} ended with ${code}.`));
    });
  });
}

/** Most progress events within any one second. */
function mostPerSecond(events) {
  const times = events.filter(({ event }) => event === 'progress').map(({ at }) => at);
  return times.reduce((most, from, index) => {
    const within = times.slice(index).filter((at) => at - from < 1000).length;
    return Math.max(most, within);
  }, 0);
}

/** @returns rows { model, codec, what, seconds, progressPerSecond, events } */
export async function measureTinyTensors(work, tensors, rounds) {
  const rows = [];
  for (const shards of [1, 100]) {
    const model = join(work, `shards-${shards}`);
    makeManyShards(model, shards, tensors / shards);
    for (const codec of CODECS) {
      const [compressed, restored, again] = ['coded', 'restored', 'again'].map((name) => join(work, name));
      await proveRoundTrip(work, model, compressed, restored, codec);
      for (const [what, command] of [
        ['compress', compressCommand(work, model, again, codec)],
        ['restore', restoreCommand(work, compressed, again)],
      ]) {
        const runs = [];
        for (let round = 0; round < rounds; round++) runs.push(await runWatched(command));
        rows.push({
          model: shards === 1 ? '1 file' : `${shards} files`,
          codec,
          what,
          seconds: runs.map(({ seconds }) => seconds),
          progressPerSecond: Math.max(...runs.map(({ events }) => mostPerSecond(events))),
          events: Math.max(...runs.map(({ events }) => events.length)),
        });
      }
      for (const path of [compressed, restored, again]) removeFolder(path);
    }
    removeFolder(model);
  }
  return rows;
}
