/**
 * The same GGUF files in llama.cpp: tokens, log-likelihoods and perplexity, and that it generates from them.
 *
 * llama.cpp keeps keys and values in float32 here. On quantized weights it rounds activations to 8 bits before each
 * product, so that its figures differ by more there; Lathe multiplies the dequantized weights in float32.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { inRepository } from '../run-command.mjs';
import { formatTable } from '../format-table.mjs';
import { countDifferences } from './compare-smollm2.mjs';
import { atLeast, equal, withinShare } from './goals.mjs';
import {
  askLlama,
  evaluateTokens,
  exportGguf,
  lathe,
  latheTokens,
  SAMPLE,
  smolLm2Models,
  textPath,
  TEXTS,
} from './sides.mjs';

const CONTEXT = 256;
const PROMPT = 'The file system';
const GENERATED_TOKENS = 24;

const PLAIN_TYPES = new Set(['F32', 'F16', 'BF16']);
const PLAIN_TOLERANCE = 1e-3;
const QUANTIZED_TOLERANCE = 5e-3;

const SAMPLE_TYPES = [
  'F32',
  'BF16',
  'F16',
  'Q8_0',
  'Q6_K',
  'Q5_K_M',
  'Q5_1',
  'Q5_0',
  'Q4_K_M',
  'Q4_1',
  'Q4_0',
  'IQ4_NL',
  'IQ4_XS',
  'Q3_K_M',
  'Q2_K',
];
const SMOLLM2_TYPES = ['F32', 'Q8_0', 'Q4_K_M'];

/** Whole texts, and the awkward ones of the tokenizer tests, each on its own. */
function readTexts() {
  const { kinds } = JSON.parse(readFileSync(inRepository('test/golden/tokenizer/vectors.json'), 'utf8'));
  const awkward = kinds.gpt2.map(({ text }, index) => [`awkward ${index}`, text]);
  const whole = TEXTS.map((name) => [name, readFileSync(textPath(name), 'utf8')]);
  return Object.fromEntries([...whole, ...awkward]);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function compareFile(work, { model, type, path, text, windows, texts }) {
  const ours = await evaluateTokens(work, path, { text, context: CONTEXT, windows });
  const theirs = await askLlama(work, {
    modelPath: path,
    threads: availableParallelism(),
    context: CONTEXT,
    windows: ours.ids,
    exact: type === 'F32',
    generate: { prompt: PROMPT, tokens: GENERATED_TOKENS },
    ...(texts === undefined ? {} : { texts }),
  });
  const nll = theirs.nll.flat();
  const worst = nll.reduce((most, value, at) => Math.max(most, Math.abs(value - ours.nll[at])), 0);
  const perplexity = Math.exp(mean(nll));
  const share = perplexity / ours.perplexity - 1;
  const name = `${model} ${type}`;
  const tolerance = PLAIN_TYPES.has(type) ? PLAIN_TOLERANCE : QUANTIZED_TOLERANCE;
  const goals = [
    withinShare(`${name}: llama.cpp's perplexity off ours`, share, tolerance),
    atLeast(`${name}: characters that llama.cpp generates`, theirs.generated.length, 1),
  ];
  if (texts !== undefined) {
    const ids = await latheTokens(work, path, texts);
    const differences = Object.keys(texts).filter((key) => countDifferences(ids[key], theirs.tokens[key]) > 0);
    const total = Object.values(ids).reduce((sum, list) => sum + list.length, 0);
    const what = `${name}: of ${Object.keys(texts).length} texts (${total.toLocaleString('en')} tokens) those with other ids`;
    goals.push(equal(what, differences.join(', ') || 'none', 'none'));
  }
  const row = [
    model,
    type,
    nll.length.toLocaleString('en'),
    ours.perplexity.toFixed(4),
    perplexity.toFixed(4),
    `${(100 * share).toFixed(4)} %`,
    worst.toExponential(1),
    JSON.stringify(theirs.generated.slice(0, 40)),
  ];
  return { row, goals };
}

/** Types chosen tensor by tensor, and a GGUF file that was quantized anew. */
async function byRecipes(work) {
  const calibration = ['--calibration', textPath('docs.calibration')];
  const compress = async (type, model, ...more) => {
    const output = join(work, type.replaceAll(' ', '-'));
    await lathe(work, 'compress', model, '-o', output, ...more);
    return { type, path: join(output, 'model.gguf') };
  };
  const eight = await compress('q8_0 by recipe', SAMPLE, '--preset', 'q8_0');
  return [
    await compress('allocated 4.5 bits', SAMPLE, '--preset', 'dp-4.5', ...calibration),
    await compress('Q4_K_M from Q8_0', eight.path, '--preset', 'q4_k_m-gptq', ...calibration),
  ];
}

export async function compareLlama(work) {
  const texts = readTexts();
  const { gguf, bf16 } = await smolLm2Models(work);
  const files = [];
  for (const type of SAMPLE_TYPES) {
    const path = await exportGguf(work, SAMPLE, 'docs-llama-7m', type);
    files.push({
      model: 'docs-llama-7m',
      type,
      path,
      text: 'docs.test',
      windows: 16,
      texts: type === 'F32' ? texts : undefined,
    });
  }
  for (const path of await byRecipes(work)) {
    files.push({ model: 'docs-llama-7m', ...path, text: 'docs.test', windows: 16 });
  }
  for (const type of SMOLLM2_TYPES) {
    const path = await exportGguf(work, bf16, 'SmolLM2', type);
    files.push({
      model: 'SmolLM2',
      type,
      path,
      text: 'docs.test',
      windows: 8,
      texts: type === 'F32' ? texts : undefined,
    });
  }
  files.push({ model: 'SmolLM2', type: 'Q4_1 (as published)', path: gguf, text: 'docs.test', windows: 8 });
  const compared = [];
  for (const file of files) compared.push(await compareFile(work, file));
  const columns = [
    'model',
    'type',
    'predictions',
    'perplexity',
    'llama.cpp',
    'difference',
    'worst token, nats',
    'llama.cpp goes on',
  ];
  const title = `Perplexity of docs.test, windows of ${CONTEXT}, and how llama.cpp goes on from ${JSON.stringify(PROMPT)}`;
  return {
    tables: [
      formatTable(
        title,
        columns,
        compared.map(({ row }) => row),
      ),
    ],
    goals: compared.flatMap(({ goals }) => goals),
  };
}
