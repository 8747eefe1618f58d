/** Peak memory of whole processes on a large model, and how fast the program is there. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CODECS, compressCommand, lathe, removeFolder, resultOf, restoreCommand } from './lathe-commands.mjs';
import { makeManyShards } from './make-weights.mjs';
import { peakMemoryOf, timeInTurn } from '../../../scripts/time-process.mjs';

const SHARDS = 100;
const TENSORS_PER_SHARD = 50;

/** @param limits values of --memory-limit; null for none */
export async function measureMemory(work, model, limits) {
  const rows = [];
  for (const codec of CODECS) {
    for (const limit of limits) {
      const more = limit === null ? [] : ['--memory-limit', limit];
      const [compressed, restored] = ['big', 'big.restored'].map((name) => join(work, name));
      const compress = compressCommand(work, model, compressed, codec, ...more);
      const restore = restoreCommand(work, compressed, restored, ...more);
      for (const [what, { command, args, env, before }] of [
        ['compress', compress],
        ['restore', restore],
      ]) {
        before();
        const startedAt = performance.now();
        const { peakBytes, stdout } = await peakMemoryOf(command, args, env);
        const seconds = (performance.now() - startedAt) / 1000;
        rows.push({ codec, what, limit, peakBytes, reportedPeakBytes: JSON.parse(stdout).peakRssBytes, seconds });
      }
      for (const path of [compressed, restored]) rmSync(path, { recursive: true, force: true });
    }
  }
  return rows;
}

export async function measureStarts(work, runs) {
  const folder = join(work, 'many-shards');
  mkdirSync(folder);
  makeManyShards(folder, SHARDS, TENSORS_PER_SHARD);
  const inspect = lathe(work, 'inspect', folder);
  const { tensors } = await resultOf(inspect);
  if (tensors.length !== SHARDS * TENSORS_PER_SHARD) throw new Error(`inspect found ${tensors.length} tensors.`);
  const help = { ...lathe(work), args: [lathe(work).args[0], '--help'] };
  const node = { command: process.execPath, args: ['-e', '0'], env: {} };
  const times = await timeInTurn({ inspect, help, node }, runs);
  removeFolder(folder);
  return { shards: SHARDS, tensors: tensors.length, ...times };
}
