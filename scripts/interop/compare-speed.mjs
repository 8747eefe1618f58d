/**
 * Tokens per CPU second in float32, one thread, beside llama.cpp on the same weights: windows in batches of one, its logits
 * of no token computed; Lathe scores every token over the whole vocabulary.
 */
import { formatTable } from '../format-table.mjs';
import { bundleMeasurer, measurePasses } from '../measure-models.mjs';
import { atLeast } from './goals.mjs';
import { askLlama, evaluateTokens, exportGguf, SAMPLE, smolLm2Models, textPath } from './sides.mjs';

const CONTEXT = 256;
const ROUNDS = 5;

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

export async function compareSpeed(work) {
  const bundle = await bundleMeasurer();
  const models = [
    { name: 'docs-llama-7m', model: SAMPLE, windows: 32 },
    { name: 'SmolLM2', model: (await smolLm2Models(work)).bf16, windows: 4 },
  ];
  const [rows, goals] = [[], []];
  for (const { name, model, windows } of models) {
    const path = await exportGguf(work, model, name, 'F32');
    const { ids } = await evaluateTokens(work, path, { text: 'docs.test', context: CONTEXT, windows });
    const theirs = await askLlama(work, {
      modelPath: path,
      threads: 1,
      context: CONTEXT,
      time: { windows: ids, rounds: ROUNDS },
    });
    const text = textPath('docs.test');
    const ours = await measurePasses(bundle, { model, text, windows, context: CONTEXT, threads: 1, rounds: ROUNDS });
    const tokens = windows * CONTEXT;
    const llamaRate = median(theirs.times.map(({ cpuSeconds }) => tokens / cpuSeconds));
    const ratio = ours.blocksPerCpuSecond / llamaRate;
    rows.push([
      name,
      tokens,
      ...[ours.blocksPerCpuSecond, llamaRate].map((rate) => Math.round(rate)),
      ratio.toFixed(2),
    ]);
    goals.push(atLeast(`${name}: tokens per CPU second over llama.cpp's`, ratio, 1));
  }
  const title = `Tokens per CPU second, float32, one thread, windows of ${CONTEXT}, medians of ${ROUNDS} rounds`;
  return { tables: [formatTable(title, ['model', 'tokens', 'Lathe', 'llama.cpp', 'ratio'], rows)], goals };
}
