/** A model in the shapes of a 7 B one through rounding, beside a plain copy of the same bytes, under limits of memory. */
import { rmSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, Stop } from '../../../scripts/run-command.mjs';
import { outputOf, peakMemoryOf } from '../../../scripts/time-process.mjs';
import { lathe } from '../lossless/lathe-commands.mjs';
import { FOUR_GIBI, makeLlamaOf } from './make-llamas.mjs';

const NEEDED_BYTES = 12 * 2 ** 30;
/** The preset that people run, and rounding alone, which the disk should hold up. */
const RUNS = [
  { preset: 'q4_k_m', limit: '1GiB' },
  { preset: 'q4_k_m', limit: null },
  { preset: 'q8_0', limit: '1GiB' },
];

/** One file out of the page cache, so that the disk is what is read. */
async function forget(file) {
  await runCommand('sync', [file], { output: 'capture' });
  return (await runCommand('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { output: 'capture' })).code === 0;
}

async function timed(run) {
  const startedAt = performance.now();
  const value = await run();
  return { value, seconds: (performance.now() - startedAt) / 1000 };
}

/** @returns { skipped } or { sourceBytes, weights, isCold, copies, rows } */
export async function measureLarge(work) {
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < NEEDED_BYTES) {
    const free = ((bavail * bsize) / 2 ** 30).toFixed(1);
    return { skipped: `${free} GiB of disk are free, 12 are needed` };
  }
  const [model, output] = ['large', 'large.out'].map((name) => join(work, name));
  const { weightFile, weights } = makeLlamaOf(FOUR_GIBI, model);
  const sourceBytes = statSync(weightFile).size;
  const copies = [];
  const copy = join(work, 'copy');
  let isCold = true;
  for (const [what, args] of [
    ['read: cat', ['-c', 'cat "$0" > /dev/null', weightFile]],
    ['read, write and sync: cp', ['-c', 'cp --reflink=never "$0" "$1" && sync "$1"', weightFile, copy]],
  ]) {
    isCold = (await forget(weightFile)) && isCold;
    const { seconds } = await timed(() => outputOf('sh', args));
    copies.push({ what, seconds });
    rmSync(copy, { force: true });
  }
  const rows = [];
  for (const { preset, limit } of RUNS) {
    rmSync(output, { recursive: true, force: true });
    isCold = (await forget(weightFile)) && isCold;
    const more = limit === null ? [] : ['--memory-limit', limit];
    const { command, args, env } = lathe(work, 'compress', model, '-o', output, '--preset', preset, ...more);
    const { value, seconds } = await timed(() => peakMemoryOf(command, args, env));
    const { storedBytes, verified, cpuSeconds } = JSON.parse(value.stdout);
    if (verified !== true) throw new Stop(`${preset}: the output was not verified.`);
    rows.push({ preset, limit, seconds, cpuSeconds, peakBytes: value.peakBytes, storedBytes });
  }
  for (const path of [model, output]) rmSync(path, { recursive: true, force: true });
  return { sourceBytes, weights, isCold, copies, rows };
}
