/** Makes the tiny models' logits anew with PyTorch and Transformers, and compares them with those that are committed. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRepository } from '../run-command.mjs';
import { formatTable } from '../format-table.mjs';
import { outputOf } from '../time-process.mjs';
import { within } from './goals.mjs';
import { ensurePython } from './peers-folder.mjs';

const PACKAGES = ['torch==2.15.0', 'transformers==5.24.0', 'numpy==2.4.2'];
/** Of the greatest logit: another processor adds in another order. */
const TOLERANCE = 2e-5;

export async function compareTransformers(work) {
  const python = await ensurePython('transformers', PACKAGES);
  const made = join(work, 'forward');
  mkdirSync(made);
  await outputOf(python, [inRepository('scripts/interop/make-forward-fixtures.py'), made]);
  const committed = inRepository('test/golden/forward');
  const [rows, goals] = [[], []];
  for (const name of readdirSync(committed).filter((file) => file.endsWith('.json'))) {
    const [was, is] = [committed, made].map((folder) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
    const [before, after] = [was.logits.flat(Infinity), is.logits.flat(Infinity)];
    const greatest = Math.max(...before.map(Math.abs));
    const worst = Math.max(...before.map((logit, at) => Math.abs(logit - after[at]))) / greatest;
    rows.push([name, before.length, worst.toExponential(1)]);
    goals.push(within(`${name}: worst logit, of the greatest`, worst, TOLERANCE));
  }
  const columns = ['fixture', 'logits', 'worst difference, of the greatest'];
  return { tables: [formatTable(`Fixtures made anew (${PACKAGES.join(', ')})`, columns, rows)], goals };
}
