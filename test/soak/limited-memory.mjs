/** A model of ten times the memory limit, one of its tensors larger than the limit, there and back. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, peakMemoryOf } from '../../scripts/time-process.mjs';
import { compressCommand, lathe, restoreCommand } from '../bench/lossless/lathe-commands.mjs';
import { makeModel } from '../bench/lossless/make-weights.mjs';
import { digestsOf } from './folder-digests.mjs';
import { CODECS } from './killed-commands.mjs';

const MEBI = 1 << 20;
const TIMES = 10;
const HIDDEN = 2048;

/**
 * @param limitMebibytes the value of --memory-limit
 * @returns { modelBytes, largestBytes, limitBytes, rows: { codec, what, peakBytes, seconds }, problems }
 */
export async function measureLimitedMemory(work, limitMebibytes, seed) {
  const limitBytes = limitMebibytes * MEBI;
  const model = join(work, 'large');
  // A little more than ten times, as a made model is rounded down to whole rows.
  makeModel(model, TIMES * limitBytes + 8 * MEBI, HIDDEN, seed);
  const problems = [];
  const { command, args, env } = lathe(work, 'inspect', model);
  const { tensors } = JSON.parse(await outputOf(command, args, { env }));
  const largestBytes = Math.max(...tensors.map(({ storedBytes }) => storedBytes));
  const modelBytes = tensors.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  if (modelBytes < TIMES * limitBytes || largestBytes <= limitBytes) problems.push('The made model is too small.');
  const whole = await digestsOf(model);
  const limit = ['--memory-limit', `${limitMebibytes}MiB`];
  const rows = [];
  for (const codec of CODECS) {
    const [compressed, restored] = ['large.coded', 'large.restored'].map((name) => join(work, name));
    for (const [what, each] of [
      ['compress', compressCommand(work, model, compressed, codec, ...limit)],
      ['restore', restoreCommand(work, compressed, restored, ...limit)],
    ]) {
      const startedAt = performance.now();
      const { peakBytes } = await peakMemoryOf(each.command, each.args, each.env);
      rows.push({ codec, what, peakBytes, seconds: (performance.now() - startedAt) / 1000 });
      if (peakBytes > limitBytes) problems.push(`${what} with ${codec} took ${peakBytes} bytes, limit ${limitBytes}.`);
    }
    if ((await digestsOf(restored)) !== whole) problems.push(`${codec}: the restored model differs from the made one.`);
    for (const path of [compressed, restored]) rmSync(path, { recursive: true, force: true });
  }
  rmSync(model, { recursive: true });
  return { modelBytes, largestBytes, limitBytes, rows, problems };
}
