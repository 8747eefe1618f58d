/** The same bytes on one, two and three threads, and after an interruption. */
import { mkdirSync, rmSync } from 'node:fs';
import { inRepository } from '../../scripts/run-command.mjs';
import { digestsOf } from './folder-digests.mjs';
import { CODECS, placeBelow, SAMPLE } from './killed-commands.mjs';
import { runAndKill, runToEnd } from './lathe-child.mjs';

const THREADS = [1, 2, 3];
const TEXT = inRepository('examples/texts/docs.test.txt');

/** Commands that promise the same bytes on any number of threads. */
function commandsFor(models) {
  const compressions = Object.entries(models).flatMap(([what, model]) =>
    CODECS.map((codec) => ({
      name: `compress ${what}, ${codec}`,
      output: 'compressed',
      args: (output) => [
        ...['compress', model, '-o', output],
        ...['--recipe', inRepository(`examples/recipes/lossless-${codec}.yaml`)],
      ],
      isResumable: true,
    })),
  );
  const evaluation = {
    name: 'evaluate the sample (the tokens file)',
    output: 'tokens.bin',
    args: (output) => [
      ...['evaluate', SAMPLE, '--text', TEXT, '--context', '64', '--limit-tokens', '6000', '--tokens-out', output],
    ],
    isResumable: true,
  };
  const exports = {
    name: 'export the sample, Q4_K_M',
    output: 'model.gguf',
    args: (output) => ['export', SAMPLE, '--to', 'gguf', '--type', 'Q4_K_M', '-o', output],
    isResumable: false,
  };
  return [...compressions, evaluation, exports];
}

/**
 * @param models by what they are called
 * @returns rows { name, runs, files, problems }
 */
export async function measureSameBytes(work, models, { draw }) {
  const rows = [];
  for (const command of commandsFor(models)) {
    const found = new Map();
    const problems = [];
    let spanMs = 0;
    for (const threads of THREADS) {
      const place = openPlace(work, command);
      const run = await runToEnd(place, [...command.args(place.output), '--threads', String(threads)]);
      if (run.code !== 0) problems.push(`${command.name} on ${threads} threads ended with ${run.code}: ${run.stdout}`);
      ({ spanMs } = run);
      found.set(`${threads} threads`, await digestsOf(place.out));
      rmSync(place.folder, { recursive: true });
    }
    if (command.isResumable) {
      const place = openPlace(work, command);
      // Begun on one thread, gone on with on three.
      const delayMs = (0.25 + draw() / 2) * spanMs;
      const { isKilled } = await runAndKill(place, [...command.args(place.output), '--threads', '1'], delayMs);
      const more = ['--threads', '3', '--resume'];
      const run = isKilled ? await runToEnd(place, [...command.args(place.output), ...more]) : { code: 0 };
      if (run.code !== 0) problems.push(`${command.name}, gone on with, ended with ${run.code}: ${run.stdout}`);
      found.set('after an interruption', await digestsOf(place.out));
      rmSync(place.folder, { recursive: true });
    }
    const [[, first]] = found;
    for (const [how, digests] of found) {
      if (digests !== first) problems.push(`${command.name}: other bytes on ${how} than on 1 thread.`);
    }
    rows.push({ name: command.name, runs: found.size, digests: new Set(found.values()).size, problems });
  }
  return rows;
}

function openPlace(work, command) {
  const place = placeBelow(work, 'bytes', command);
  mkdirSync(place.out, { recursive: true });
  return place;
}
