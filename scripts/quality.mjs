/**
 * `npm run quality -- quantization [--model NAME=FOLDER…] [--golden FOLDER] [--windows N] [--report]`: what quantization costs.
 *
 * For the sample model and every model named: each uniform format plainly rounded, weighted, by GPTQ, and an allocation of as
 * many bits; allocations of round numbers of bits; and, with a folder of llama.cpp's files of the sample model, an allocation of
 * at most each file's bytes beside it. Differences are paired, window by window, with 95 % intervals. Ends with 1 if one of them
 * lies on the wrong side of zero. `--report` puts the tables into docs/methods/quantization-quality.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { measureGolden } from './quality/golden-files.mjs';
import { measureModel } from './quality/measure-model.mjs';
import { writeQuality } from './quality/write-quality.mjs';
import { formatDuration, inRepository, isProgram, runProgram, Stop } from './run-command.mjs';
import { setup } from './setup.mjs';

function parseOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', multiple: true, default: [] },
      golden: { type: 'string' },
      windows: { type: 'string', default: '64' },
      report: { type: 'boolean', default: false },
    },
  });
  if (positionals.join() !== 'quantization')
    throw new Stop('Usage: npm run quality -- quantization [--model NAME=FOLDER]');
  const models = values.model.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new Stop(`--model is "${text}": write NAME=FOLDER.`);
    return { name: text.slice(0, at), folder: text.slice(at + 1) };
  });
  const windows = Number(values.windows);
  if (!Number.isInteger(windows) || windows < 2) throw new Stop('--windows: write a whole number of 2 or more.');
  const sample = { name: 'docs-llama-7m', folder: inRepository('examples', 'models', 'docs-llama-7m') };
  return { ...values, windows, sample, models: [sample, ...models] };
}

async function quality() {
  const { models, sample, golden, windows, report } = parseOptions();
  await setup();
  await build();
  const work = mkdtempSync(join(tmpdir(), 'lathe-quality-'));
  process.once('SIGINT', () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
  try {
    const startedAt = performance.now();
    const parts = [];
    for (const model of models) parts.push(await measureModel(model, work, windows));
    if (golden !== undefined) parts.push(await measureGolden(sample, golden, work, windows));
    const tables = parts.flatMap((part) => part.tables);
    console.log(tables.join(''));
    if (report) await writeQuality(tables, windows);
    const wrong = parts.flatMap((part) => part.wrong);
    console.log(`quality: took ${formatDuration(performance.now() - startedAt)}`);
    if (wrong.length > 0) throw new Stop(`On the wrong side of zero: ${wrong.join('; ')}.`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (isProgram(import.meta.url)) await runProgram(quality);
