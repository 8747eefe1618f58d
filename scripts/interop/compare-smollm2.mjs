/** A real published model: PyTorch's likelihoods of its weights in BF16 beside Lathe's, from BF16 and from the GGUF. */
import { readFileSync } from 'node:fs';
import { formatTable } from '../format-table.mjs';
import { equal, within } from './goals.mjs';
import { lathe, latheTokens, smolLm2Models, textPath } from './sides.mjs';

/** PyTorch 2.15, float32, on the dequantized weights rounded to BF16; no token of the beginning; the first windows. */
const EXPECTED = [
  { text: 'docs.test', context: 256, windows: 64, nll: 3.442624 },
  { text: 'narrative.test', context: 256, windows: 64, nll: 4.000311 },
  { text: 'docs.test', context: 1024, windows: 16, nll: 3.191327 },
  { text: 'narrative.test', context: 1024, windows: 16, nll: 3.761001 },
];
/** By the tokenizers library, whole texts. */
const EXPECTED_TOKENS = {
  'docs.test': 91_576,
  'narrative.test': 92_558,
  'docs.calibration': 92_164,
  'narrative.calibration': 94_622,
};
const BF16_TOLERANCE = 1e-4;
/** Of other weights: its scales are F16, and no weight is rounded to BF16. */
const GGUF_TOLERANCE = 5e-4;

async function compareLikelihoods(work, { gguf, bf16 }) {
  const [rows, goals] = [[], []];
  for (const { text, context, windows, nll } of EXPECTED) {
    const asked = ['--text', textPath(text), '--context', context, '--limit-tokens', windows * context].map(String);
    const fromBf16 = (await lathe(work, 'evaluate', bf16, ...asked)).meanNegativeLogLikelihood;
    const fromGguf = (await lathe(work, 'evaluate', gguf, ...asked)).meanNegativeLogLikelihood;
    rows.push([text, context, windows, ...[nll, fromBf16, fromGguf].map((value) => value.toFixed(6))]);
    goals.push(
      within(
        `SmolLM2, ${text}, context ${context}, restored to BF16: nats a token off PyTorch's`,
        fromBf16 - nll,
        BF16_TOLERANCE,
      ),
      within(
        `SmolLM2, ${text}, context ${context}, from the GGUF: nats a token off PyTorch's`,
        fromGguf - nll,
        GGUF_TOLERANCE,
      ),
    );
  }
  const columns = ['text', 'context', 'windows', 'PyTorch, BF16', 'Lathe, BF16', 'Lathe, GGUF (Q4_1)'];
  return { table: formatTable('Nats a predicted token, SmolLM2-135M-Instruct', columns, rows), goals };
}

async function compareTokens(work, { gguf, bf16 }) {
  const names = Object.keys(EXPECTED_TOKENS);
  const texts = Object.fromEntries(names.map((name) => [name, readFileSync(textPath(name), 'utf8')]));
  const [ofBf16, ofGguf] = [await latheTokens(work, bf16, texts), await latheTokens(work, gguf, texts)];
  const goals = names.flatMap((name) => [
    equal(`SmolLM2, tokens of ${name}`, ofBf16[name].length, EXPECTED_TOKENS[name]),
    equal(`SmolLM2, tokens of ${name} from the GGUF that differ`, countDifferences(ofGguf[name], ofBf16[name]), 0),
  ]);
  const rows = names.map((name) => [name, EXPECTED_TOKENS[name], ofBf16[name].length]);
  return { table: formatTable('Tokens, SmolLM2-135M-Instruct', ['text', 'tokenizers', 'Lathe'], rows), goals };
}

/** Places where two lists of ids are not the same; a longer one's rest counts. */
export function countDifferences(a, b) {
  const longest = Math.max(a.length, b.length);
  let differences = 0;
  for (let at = 0; at < longest; at++) if (a[at] !== b[at]) differences += 1;
  return differences;
}

export async function compareSmolLm2(work) {
  const models = await smolLm2Models(work);
  const parts = [await compareLikelihoods(work, models), await compareTokens(work, models)];
  return { tables: parts.map(({ table }) => table), goals: parts.flatMap(({ goals }) => goals) };
}
