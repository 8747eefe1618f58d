/** Files of llama.cpp's own quantizer, with what PyTorch finds for them: `--golden FOLDER` with its expected.json. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Stop } from '../run-command.mjs';
import { formatTable } from '../format-table.mjs';
import { within, withinShare } from './goals.mjs';
import { lathe, SAMPLE, textPath } from './sides.mjs';

const CONTEXT = 256;
const WINDOWS = 128;
const NLL_TOLERANCE = 5e-5;
const KL_TOLERANCE = 2e-3;

export async function compareGolden(work, { golden }) {
  if (golden === undefined) throw new Stop('The part "golden" needs --golden FOLDER.');
  const expectedPath = join(golden, 'expected.json');
  if (!existsSync(expectedPath)) throw new Stop(`${golden} has no expected.json.`);
  const expected = Object.entries(JSON.parse(readFileSync(expectedPath, 'utf8')).files);
  const present = expected.filter(([name]) => existsSync(join(golden, name)));
  if (present.length === 0) throw new Stop(`${golden} holds none of the files that expected.json names.`);
  const [rows, goals] = [[], []];
  for (const [name, { first128Windows }] of present) {
    const path = join(golden, name);
    const limits = ['--context', String(CONTEXT), '--limit-tokens', String(CONTEXT * WINDOWS)];
    const asked = ['--text', textPath('docs.test'), '--reference', SAMPLE, ...limits];
    const found = await lathe(work, 'evaluate', path, ...asked);
    const { meanNegativeLogLikelihood: nll, klMean } = first128Windows;
    const divergence = found.klDivergence.mean;
    rows.push([
      name,
      statSync(path).size.toLocaleString('en'),
      ...[nll, found.meanNegativeLogLikelihood].map((value) => value.toFixed(6)),
      ...[klMean, divergence].map((value) => value.toFixed(6)),
    ]);
    goals.push(
      within(`${name}: nats a token off PyTorch's`, found.meanNegativeLogLikelihood - nll, NLL_TOLERANCE),
      withinShare(`${name}: KL divergence off PyTorch's`, divergence / klMean - 1, KL_TOLERANCE),
    );
  }
  const columns = ['file', 'bytes', 'PyTorch, nats', 'Lathe, nats', 'PyTorch, KL', 'Lathe, KL'];
  return {
    tables: [formatTable(`Files of llama.cpp's quantizer, first ${WINDOWS} windows of docs.test`, columns, rows)],
    goals,
  };
}
