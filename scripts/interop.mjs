/**
 * `npm run interop [-- PART…] [--golden FOLDER] [--report]`: what other programs make of the same models and files.
 *
 * Parts: smollm2 (a published model, PyTorch's figures), llama (llama.cpp on files of ours and others: tokens, likelihoods,
 * generation), speed (llama.cpp beside Lathe), golden (files of llama.cpp's quantizer, with --golden), transformers (makes
 * the fixtures of test/golden/forward anew; 5 GB of Python packages, only when named). Fetches what it needs from npm's and
 * Python's package indexes into `~/.cache/lathe/interop`. Ends with 1 if a goal is missed; `--report` puts the tables into
 * docs/benchmarks/interop.md, those of parts that did not run stay.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { formatTable } from './format-table.mjs';
import { compareGolden } from './interop/compare-golden.mjs';
import { compareLlama } from './interop/compare-llama.mjs';
import { compareSmolLm2 } from './interop/compare-smollm2.mjs';
import { compareSpeed } from './interop/compare-speed.mjs';
import { compareTransformers } from './interop/compare-transformers.mjs';
import { writePart } from './interop/write-part.mjs';
import { formatDuration, isProgram, runProgram, Stop } from './run-command.mjs';
import { setup } from './setup.mjs';

const PARTS = {
  smollm2: compareSmolLm2,
  llama: compareLlama,
  speed: compareSpeed,
  golden: compareGolden,
  transformers: compareTransformers,
};
const BY_DEFAULT = ['smollm2', 'llama', 'speed'];

function parseOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { golden: { type: 'string' }, report: { type: 'boolean' } },
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    throw new Stop(`Unknown: ${unknown.join(', ')}. Parts are ${Object.keys(PARTS).join(', ')}.`);
  }
  const byDefault = values.golden === undefined ? BY_DEFAULT : [...BY_DEFAULT, 'golden'];
  return { ...values, names: positionals.length > 0 ? positionals : byDefault };
}

function goalTable(goals) {
  const rows = goals.map(({ what, found, limit, met }) => [what, found, limit, met ? 'yes' : 'NO']);
  return formatTable('Goals', ['what', 'found', 'asked', 'met'], rows);
}

async function interop() {
  const { names, golden, report } = parseOptions();
  await setup();
  await build();
  const work = mkdtempSync(join(tmpdir(), 'lathe-interop-'));
  process.once('SIGINT', () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
  let missed = 0;
  try {
    for (const name of names) {
      const startedAt = performance.now();
      const { tables, goals } = await PARTS[name](work, { golden });
      const shown = [...tables, goalTable(goals)];
      console.log(shown.join(''));
      console.log(`interop: ${name} took ${formatDuration(performance.now() - startedAt)}`);
      missed += goals.filter(({ met }) => !met).length;
      if (report === true) await writePart(name, shown);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (missed > 0) throw new Stop(`${missed} goals are missed.`);
  console.log('interop: every goal is met');
}

if (isProgram(import.meta.url)) await runProgram(interop);
