import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EvaluateResult } from '../../../core/contract/evaluation-result.ts';
import { readTokenizer } from '../../../core/tokenizer/read-tokenizer.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { readTokenFile } from '../../helpers/read-token-file.ts';
import { runLathe } from '../../helpers/run-lathe.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));
const MODEL = join(EXAMPLES, 'models/docs-llama-7m');
const DOCS = join(EXAMPLES, 'texts/docs.test.txt');
const NARRATIVE = join(EXAMPLES, 'texts/narrative.test.txt');
/** 12 windows: a second or two. */
const FEW = ['--limit-tokens', '3100'];

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-evaluate-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function evaluate(...args: string[]): Promise<EvaluateResult> {
  const run = await runLathe(['evaluate', ...args, '--json']);
  expect(run.stderr).toBe('');
  expect(run.code).toBe(0);
  return run.json<EvaluateResult>();
}

/** What does not depend on the clock. */
function figuresOf({ seconds: _, cpuSeconds: _2, tokensPerSecond: _3, ...figures }: EvaluateResult['texts'][number]) {
  return figures;
}

test('the sample model has the likelihood that PyTorch finds, to 1e-5, over all windows', async () => {
  const result = await evaluate(MODEL, '--text', DOCS, '--context', '256');
  expect(result).toMatchObject({ tokens: 106_639, windows: 416, predictions: 106_080, droppedTokens: 143 });
  expect(Math.abs(result.meanNegativeLogLikelihood! - 3.6308)).toBeLessThan(1e-5);
  expect(result.perplexity).toBeCloseTo(37.743, 3);
  expect(result).toMatchObject({ device: 'cpu', addsBos: false, resumed: false, notes: [] });
});

test('text unlike what it learned has the likelihood that PyTorch finds, to 1e-5', async () => {
  const result = await evaluate(MODEL, '--text', NARRATIVE, '--context', '256');
  expect(result).toMatchObject({ tokens: 117_000, windows: 457, predictions: 116_535 });
  expect(Math.abs(result.meanNegativeLogLikelihood! - 6.068385)).toBeLessThan(1e-5);
});

test('a compressed model has the same figures to the bit, and does not diverge from its source', async () => {
  const source = await evaluate(MODEL, '--text', DOCS, NARRATIVE, ...FEW);
  expect(source.texts.map(({ windows }) => windows)).toEqual([12, 12]);
  for (const preset of ['lossless-dfloat11', 'lossless-split-plane']) {
    const output = join(folder, preset);
    expect((await runLathe(['compress', MODEL, '-o', output, '--preset', preset, '--json'])).code).toBe(0);
    const result = await evaluate(output, '--text', DOCS, NARRATIVE, ...FEW, '--reference', MODEL);
    result.texts.forEach((text, index) => {
      expect(text).toMatchObject(figuresOf(source.texts[index]!));
      expect(text.klDivergence).toEqual({ mean: 0, median: 0, p90: 0, p99: 0, max: 0, standardError: 0 });
      expect(text).toMatchObject({ top1Agreement: 1, perplexityRatio: 1, flips: { lost: 0, gained: 0 } });
    });
  }
});

test('a safetensors file alone takes config and tokenizer from beside it', async () => {
  const byFolder = await evaluate(MODEL, '--text', DOCS, ...FEW);
  const byFile = await evaluate(join(MODEL, 'model.safetensors'), '--text', DOCS, ...FEW);
  expect(figuresOf(byFile.texts[0]!)).toEqual(figuresOf(byFolder.texts[0]!));
});

test('the tokens file holds the text and the likelihood of each of its tokens', async () => {
  const tokensOut = join(folder, 'tokens.bin');
  const result = await evaluate(MODEL, '--text', DOCS, ...FEW, '--tokens-out', tokensOut, '--reference', MODEL);
  const { columns } = readTokenFile(readFileSync(tokensOut));
  const nll = columns[0]!['nll']!;
  expect(nll).toHaveLength(12 * 255);
  expect(nll.reduce((sum, value) => sum + value, 0) / nll.length).toBeCloseTo(result.meanNegativeLogLikelihood!, 6);
  const tokenizer = await readTokenizer(MODEL, nodeFileAccess);
  const start = tokenizer.encode(readFileSync(DOCS, 'utf8').slice(0, 20_000)).subarray(0, 12 * 256);
  expect(columns[0]!['token']).toEqual([...start]);
});

test('rounding to BF16 at random moves the model a little', async () => {
  const result = await evaluate(MODEL, '--text', DOCS, ...FEW, '--reference', MODEL, '--noise-floor', '1');
  expect(result.klDivergence!.mean).toBe(0);
  expect(result.noiseFloor!.mean).toBeGreaterThan(1e-6);
  expect(result.noiseFloor!.mean).toBeLessThan(1e-2);
});

test('choices that the text has are more likely than others', async () => {
  const lines = [
    { context: 'If the function returns a', choices: [' value', ' zebra', ' Moses'], answer: 0 },
    { context: 'The default is to use the', choices: [' qqq', ' same'], answer: 1 },
    { context: 'This option can be used', choices: [' xylophone', ' to', ' the the the'], answer: 1 },
  ];
  const choices = join(folder, 'choices.jsonl');
  writeFileSync(choices, lines.map((line) => JSON.stringify(line)).join('\n'));
  const result = await evaluate(MODEL, '--choices', choices);
  expect(result).toMatchObject({ questions: 3, accuracy: 1, texts: [] });
});

test('an interrupted evaluation goes on with --resume, and ends with the same figures', async () => {
  const asked = [MODEL, '--text', DOCS, '--limit-tokens', '20000', '--threads', '1'];
  const signals = [{ name: 'SIGINT' as const, after: /"event":"progress"/ }];
  const stopped = await runLathe(['evaluate', ...asked, '--json', '--events', 'ndjson'], { signals });
  expect(stopped.code).toBe(75);
  const { error } = stopped.json<{ error: { code: string; whatToDo: string } }>();
  expect(error.code).toBe('JOB_INTERRUPTED');
  expect(error.whatToDo).toMatch(/^Go on with: lathe evaluate .* --resume$/);
  const resumed = await evaluate(...asked, '--resume');
  expect(resumed.resumed).toBe(true);
  const whole = await evaluate(...asked);
  expect(figuresOf(resumed.texts[0]!)).toEqual(figuresOf(whole.texts[0]!));
});

test('NaN in a weight names its tensor', async () => {
  const broken = join(folder, 'broken');
  mkdirSync(broken);
  for (const name of readdirSync(MODEL)) copyFileSync(join(MODEL, name), join(broken, name));
  const weights = readFileSync(join(broken, 'model.safetensors'));
  const headerEnd = 8 + Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.toString('utf8', 8, headerEnd)) as Record<string, { data_offsets: number[] }>;
  const name = 'model.layers.3.mlp.up_proj.weight';
  weights.writeUInt16LE(0x7fc0, headerEnd + header[name]!.data_offsets[0]! + 1000);
  writeFileSync(join(broken, 'model.safetensors'), weights);
  const run = await runLathe(['evaluate', broken, '--text', DOCS, ...FEW, '--json']);
  expect(run.code).toBe(3);
  const { error } = run.json<{ error: { code: string; what: string; where: { tensor?: string } } }>();
  expect(error).toMatchObject({ code: 'NUMERICS_NOT_FINITE', where: { tensor: name } });
  expect(error.what).toContain(name);
});

test('a family that cannot be run is named, with the commands that still work', async () => {
  const unknown = join(folder, 'unknown');
  mkdirSync(unknown);
  for (const name of readdirSync(MODEL)) copyFileSync(join(MODEL, name), join(unknown, name));
  writeFileSync(join(unknown, 'config.json'), '{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}');
  const run = await runLathe(['evaluate', unknown, '--text', DOCS]);
  expect(run.code).toBe(3);
  expect(run.stderr).toContain('"mamba"');
  expect(run.stderr).toContain('compress');
});
