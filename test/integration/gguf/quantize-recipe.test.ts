import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { BatchResult } from '../../../core/contract/batch-result.ts';
import type { ExplainResult } from '../../../core/contract/explain-result.ts';
import type { ExportResult } from '../../../core/contract/export-result.ts';
import type { CompressResult, EstimateResult, InspectResult, VerifyResult } from '../../../core/contract/results.ts';
import type { SerializedError } from '../../../core/errors.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL, sha256 } from '../../helpers/sample-gguf.ts';

let folder: string;
const at = (name: string) => join(folder, name);

const TEXTS = join(SAMPLE_MODEL, '..', '..', 'texts');
/** Few and short windows: what is tested is not how good the figures are. */
const CALIBRATION = { text: [join(TEXTS, 'docs.calibration.txt')], sequences: 4, sequenceLength: 64 };

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'lathe-quantize-')));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function lathe(...argv: string[]) {
  return runLathe([...argv, '--json'], { env: { LATHE_HOME: at('home') } });
}

async function answer<Result>(...argv: string[]): Promise<Result> {
  const run = await lathe(...argv);
  expect(run.code, run.stdout + run.stderr).toBe(0);
  return run.json<Result>();
}

async function errorOf(...argv: string[]): Promise<SerializedError & { exit: number | null }> {
  const run = await lathe(...argv);
  return { ...run.json<{ error: SerializedError }>().error, exit: run.code };
}

function recipe(name: string, content: object): string {
  const path = at(`${name}.yaml`);
  writeFileSync(path, stringify({ lathe: 1, ...content }));
  return path;
}

function compress(name: string, content: object, ...more: string[]): Promise<CompressResult> {
  return answer('compress', SAMPLE_MODEL, '-o', at(name), '--recipe', recipe(name, content), ...more);
}

const allocated = (limit: object, formats = ['q3_k', 'q4_k', 'q5_k', 'q6_k', 'q8_0']) => ({
  calibration: CALIBRATION,
  steps: [{ step: 'quantize', allocation: { method: 'dp', ...limit, formats } }],
});

describe('a recipe that quantizes', () => {
  it('makes by the preset q4_k_m the very file that export makes, and a folder that every command takes', async () => {
    const result = await answer<CompressResult>('compress', SAMPLE_MODEL, '-o', at('q4'), '--preset', 'q4_k_m');
    const exported = await answer<ExportResult>(
      ...['export', SAMPLE_MODEL, '--to', 'gguf', '--type', 'Q4_K_M', '-o', at('q4.gguf')],
    );
    expect(readdirSync(at('q4')).sort()).toEqual(['lathe.json', 'model.gguf']);
    expect(sha256(readFileSync(at('q4/model.gguf')))).toBe(exported.sha256);
    expect(result).toMatchObject({ verified: true, storedBytes: exported.storedBytes });
    expect(result.bitsPerBlockWeight).toBeCloseTo(exported.bitsPerBlockWeight, 12);
    const worst = Math.max(...result.tensors.map(({ error }) => error));
    expect(worst).toBeGreaterThan(0.05);
    expect(worst).toBeLessThan(0.2);

    const inspected = await answer<InspectResult>('inspect', at('q4'));
    expect(inspected).toMatchObject({ format: 'gguf', storedBytes: result.storedBytes });
    const verified = await answer<VerifyResult>('verify', at('q4'), '--against', SAMPLE_MODEL);
    expect(verified.files).toMatchObject([{ name: 'model.gguf', ok: true, sha256: exported.sha256 }]);
    const back = await answer<{ rounding: { dtype: string } }>('restore', at('q4'), '-o', at('back'));
    expect(back.rounding.dtype).toBe('BF16');
    const measured = await answer<{ perplexity: number }>(
      ...['evaluate', at('q4'), '--text', join(TEXTS, 'docs.test.txt'), '--limit-tokens', '512', '--context', '128'],
    );
    expect(measured.perplexity).toBeGreaterThan(5);

    const copied = await answer<ExportResult>('export', at('q4'), '--to', 'gguf', '-o', at('copied.gguf'));
    expect(copied).toMatchObject({ type: 'as quantized', sha256: exported.sha256, storedBytes: exported.storedBytes });
    expect(copied.bitsPerBlockWeight).toBe(exported.bitsPerBlockWeight);
    expect(sha256(readFileSync(at('copied.gguf')))).toBe(exported.sha256);
    const untyped = ['export', SAMPLE_MODEL, '--to', 'gguf', '-o', at('untyped.gguf')];
    expect(await errorOf(...untyped)).toMatchObject({ exit: 2, code: 'USAGE_INVALID_ARGUMENT' });
  });

  it('finds a flipped bit in what it wrote, and an error other than the stated one', async () => {
    await compress('flipped', { steps: [{ step: 'quantize', format: 'q8_0' }] });
    const path = at('flipped/model.gguf');
    const bytes = readFileSync(path);
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(path, bytes);
    const run = await lathe('verify', at('flipped'), '--against', SAMPLE_MODEL);
    expect(run.code).toBe(5);
    const { ok, files, tensors } = run.json<VerifyResult>();
    expect({ ok, files: files.map((file) => file.ok) }).toEqual({ ok: false, files: [false] });
    expect(tensors.filter((tensor) => !tensor.ok)).toHaveLength(1);
  });

  it('quantizes the blocks unless it is told otherwise; overrides win, the last first, and explain says which', async () => {
    const content = {
      steps: [{ step: 'quantize', format: 'q4_k' }],
      overrides: [
        { match: 'layers\\.0\\.', skip: true },
        { match: 'layers\\.0\\.self_attn\\.v_proj', quantize: { format: 'q6_k' } },
        { match: 'embed_tokens', quantize: { format: 'q5_k' } },
      ],
    };
    const { tensors } = await compress('overridden', content);
    const methodOf = (name: string) => tensors.find(({ canonicalName }) => canonicalName === name)?.method;
    expect(methodOf('model.layers.0.self_attn.q_proj.weight')).toBe('BF16');
    expect(methodOf('model.layers.0.self_attn.v_proj.weight')).toBe('Q6_K');
    expect(methodOf('model.layers.1.self_attn.q_proj.weight')).toBe('Q4_K');
    expect(methodOf('model.embed_tokens.weight')).toBe('Q5_K');
    expect(methodOf('model.norm.weight')).toBe('F32');
    const explained = await answer<ExplainResult>(
      ...[
        'explain',
        SAMPLE_MODEL,
        '--recipe',
        at('overridden.yaml'),
        '--tensor',
        'layers.[01].(self_attn.[qv]|mlp.down)',
      ],
    );
    const rules = Object.fromEntries(explained.tensors.map(({ name, becomes, rule }) => [name, `${becomes}: ${rule}`]));
    expect(rules).toMatchObject({
      'model.layers.0.self_attn.q_proj.weight': 'BF16: override 1, "layers\\.0\\."',
      'model.layers.0.self_attn.v_proj.weight': 'Q6_K: override 2, "layers\\.0\\.self_attn\\.v_proj"',
      'model.layers.1.self_attn.q_proj.weight': 'Q4_K: step 1',
      'model.layers.1.mlp.down_proj.weight': 'Q5_0: step 1; rows are no whole blocks of Q4_K',
    });
    const estimate = await answer<EstimateResult>('estimate', SAMPLE_MODEL, '--recipe', at('overridden.yaml'));
    const stored = tensors.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    expect(estimate).toMatchObject({ storedBytes: stored, storedBytesLow: stored, storedBytesHigh: stored });
  });

  it('by GPTQ loses less of what layers make than rounding does, and says on which texts', async () => {
    const result = await answer<CompressResult>(
      ...['compress', SAMPLE_MODEL, '-o', at('gptq'), '--preset', 'q4_k_m-gptq'],
      ...['--calibration', CALIBRATION.text[0] ?? ''],
    );
    const text = readFileSync(CALIBRATION.text[0] ?? '');
    expect(result.quantization).toMatchObject({
      calibration: { sequences: 64, sequenceLength: 256, seed: 0, texts: [{ sha256: sha256(text) }] },
      allocation: null,
    });
    expect(existsSync(at('gptq/model.gguf'))).toBe(true);
    // Feedback moves weights further from the original than rounding does.
    const plain = await answer<CompressResult>('compress', SAMPLE_MODEL, '-o', at('plain'), '--preset', 'q4_k_m');
    const errorOfFirst = ({ tensors }: CompressResult) => tensors.find(({ method }) => method === 'Q4_K')?.error ?? 0;
    expect(errorOfFirst(result)).toBeGreaterThan(errorOfFirst(plain));
  });

  it('warns where a Gram matrix has fewer tokens than columns', async () => {
    const step = { step: 'quantize', method: 'gptq', format: 'q4_0' };
    const { notes } = await compress('short', { calibration: CALIBRATION, steps: [step] });
    expect(notes.join()).toContain(
      'The calibration has 256 tokens, fewer than the 704 columns of the widest of 8 inputs',
    );
  });
});

describe('a GGUF file', () => {
  it('is quantized anew, keeps its keys and what is not touched byte for byte, and both losses are named', async () => {
    await compress('q8', { steps: [{ step: 'quantize', format: 'q8_0', include: ['blocks', 'embeddings', 'head'] }] });
    const path = recipe('anew', {
      calibration: CALIBRATION,
      steps: [
        {
          step: 'quantize',
          method: 'gptq',
          allocation: { method: 'dp', averageBits: 5, formats: ['q4_0', 'q5_0', 'q8_0'] },
        },
      ],
      evaluate: { text: [join(TEXTS, 'docs.test.txt')], context: 128, limitTokens: 512 },
    });
    const result = await answer<CompressResult>('compress', at('q8'), '-o', at('anew'), '--recipe', path);
    expect(result.notes.join()).toMatch(
      /The source is a GGUF file \(Q8_0\): its weights were off from its original by up to 0\.\d+ %/,
    );
    expect(result.quantization?.allocation?.averageBits).toBeLessThanOrEqual(5);
    expect(result.metrics?.[0]?.klDivergence.mean).toBeGreaterThan(0);
    const embedding = result.tensors.find(({ name }) => name === 'token_embd.weight');
    expect(embedding).toMatchObject({ dtype: 'Q8_0', method: 'Q8_0', error: 0 });
    const changed = result.tensors.filter(({ method }) => method === 'Q4_0');
    expect(changed.length).toBeGreaterThan(0);
    for (const { error } of changed) expect(error).toBeGreaterThan(0.01);
    // What the two together cost is what the new file costs beside the original.
    const verified = await answer<VerifyResult>('verify', at('anew'));
    expect(verified.files).toMatchObject([{ ok: true }]);
    const [old, anew] = await Promise.all(
      ['q8', 'anew'].map((name) =>
        answer<InspectResult>('restore', at(name), '-o', at(`${name}-back`), '--dtype', 'f32'),
      ),
    );
    expect(Object.keys(anew ?? {})).toEqual(Object.keys(old ?? {}));
    const config = (name: string) => readFileSync(join(at(`${name}-back`), 'config.json'), 'utf8');
    const tokenizer = (name: string) => readFileSync(join(at(`${name}-back`), 'tokenizer.json'), 'utf8');
    expect(config('anew')).toBe(config('q8'));
    expect(tokenizer('anew')).toBe(tokenizer('q8'));
  });

  it('is refused by a lossless codec', async () => {
    const argv = ['compress', at('q8'), '-o', at('refused'), '--preset', 'lossless-split-plane'];
    expect(await errorOf(...argv)).toMatchObject({ code: 'MODEL_ALREADY_COMPRESSED', exit: 3 });
  });
});

describe('an allocation', () => {
  it('keeps below its average of bits, gives tensors different types, and finds its measurements again', async () => {
    const first = await compress('dp5', allocated({ averageBits: 5 }));
    expect(first.quantization?.allocation).toMatchObject({ method: 'dp', isExact: true });
    const { averageBits = 0, predictedKlDivergence } = first.quantization?.allocation ?? {};
    expect(averageBits).toBeLessThanOrEqual(5);
    expect(averageBits).toBeGreaterThan(4.9);
    expect(predictedKlDivergence).toBeGreaterThan(0);
    const touched = first.tensors.filter(
      ({ canonicalName, shape }) => shape.length > 1 && /layers/.test(canonicalName),
    );
    const sum = (of: (tensor: (typeof touched)[number]) => number) =>
      touched.reduce((total, one) => total + of(one), 0);
    const weights = sum(({ shape }) => (shape[0] ?? 0) * (shape[1] ?? 0));
    expect((8 * sum(({ storedBytes }) => storedBytes)) / weights).toBeCloseTo(averageBits, 9);
    expect(new Set(touched.map(({ method }) => method)).size).toBeGreaterThan(2);

    const cacheBefore = await answer<{ entries: number }>('cache', 'show');
    const other = await compress('dp6', allocated({ averageBits: 6 }), '--threads', '1');
    expect(await answer<{ entries: number }>('cache', 'show')).toMatchObject({ entries: cacheBefore.entries });
    expect(other.quantization?.allocation?.predictedKlDivergence).toBeLessThan(predictedKlDivergence ?? 0);

    await compress('again', allocated({ averageBits: 5 }), '--threads', '3');
    expect(sha256(readFileSync(at('again/model.gguf')))).toBe(sha256(readFileSync(at('dp5/model.gguf'))));
  });

  it('makes a file of at most so many bytes', async () => {
    const { length: ofTenBits } = readFileSync(at('dp6/model.gguf'));
    const totalBytes = ofTenBits - 100_000;
    await compress('fit', allocated({ totalBytes }));
    const { length } = readFileSync(at('fit/model.gguf'));
    expect(length).toBeLessThanOrEqual(totalBytes);
    expect(length).toBeGreaterThan(totalBytes - 20_000);
  });

  it('refuses at once a budget below the smallest formats, and says which would do', async () => {
    for (const [limit, pattern] of [
      [{ averageBits: 3 }, /Set averageBits to (\S+) or more/],
      [{ totalBytes: 1_000_000 }, /Set totalBytes to (\S+) or more/],
    ] as const) {
      const path = recipe('small', allocated(limit));
      const error = await errorOf('estimate', SAMPLE_MODEL, '--recipe', path);
      expect(error).toMatchObject({ code: 'ALLOCATION_BUDGET_TOO_SMALL', exit: 2 });
      const needed = Number(pattern.exec(error.whatToDo)?.[1]);
      const key = Object.keys(limit)[0] ?? '';
      await answer('estimate', SAMPLE_MODEL, '--recipe', recipe('enough', allocated({ [key]: needed })));
    }
  });

  it('is uniform where that is asked for: the largest format that fits', async () => {
    const steps = [
      { step: 'quantize', allocation: { method: 'uniform', averageBits: 5, formats: ['q8_0', 'iq4_nl', 'q4_0'] } },
    ];
    const { quantization, tensors } = await compress('uniform', { steps });
    expect(quantization?.allocation).toEqual({
      method: 'uniform',
      averageBits: 4.5,
      predictedKlDivergence: null,
      isExact: true,
    });
    const types = tensors.filter(({ shape, canonicalName }) => shape.length > 1 && /layers/.test(canonicalName));
    expect(new Set(types.map(({ method }) => method)).size).toBe(1);
  });
});

describe('an evaluation in a recipe', () => {
  const measured = (limits: object) => ({
    steps: [{ step: 'quantize', format: 'q4_0' }],
    evaluate: { text: [join(TEXTS, 'docs.test.txt')], context: 128, limitTokens: 1024 },
    limits,
  });

  it('stands in the result and beside the output, and a missed limit ends with 6 and keeps it', async () => {
    const path = recipe('limited', measured({ klDivergence: 1e-6 }));
    const run = await lathe('compress', SAMPLE_MODEL, '-o', at('limited'), '--recipe', path);
    expect(run.code).toBe(6);
    const result = run.json<CompressResult>();
    expect(result).toMatchObject({ verified: true, error: { code: 'QUALITY_LIMIT_MISSED' } });
    const [metrics] = result.metrics ?? [];
    expect(metrics).toMatchObject({ context: 128, windows: 8, predictions: 8 * 127 });
    expect(metrics?.klDivergence.mean).toBeGreaterThan(1e-3);
    expect(metrics?.perplexityRatio).toBeCloseTo((metrics?.perplexity ?? 0) / (metrics?.referencePerplexity ?? 1), 12);
    const written = JSON.parse(readFileSync(at('limited/lathe.json'), 'utf8')) as { metrics: unknown };
    expect(written.metrics).toEqual(result.metrics);
    await answer('verify', at('limited'), '--against', SAMPLE_MODEL);
  });

  it('is part of what makes a batch done', async () => {
    recipe('kept', measured({ klDivergence: 1 }));
    const batch = recipe('batch', { models: [SAMPLE_MODEL], recipes: ['kept.yaml', 'limited.yaml'], output: 'out' });
    const first = await lathe('run', batch);
    expect(first.code).toBe(1);
    const statuses = (result: BatchResult) => result.jobs.map(({ status, error }) => `${status} ${error?.code ?? ''}`);
    expect(statuses(first.json<BatchResult>())).toEqual(['done ', 'failed QUALITY_LIMIT_MISSED']);
    const again = await lathe('run', batch);
    expect(statuses(again.json<BatchResult>())).toEqual(['kept ', 'failed QUALITY_LIMIT_MISSED']);
  });

  it('is refused before any work where a text is missing or limits have nothing to be measured by', async () => {
    const missing = { ...measured({ klDivergence: 1 }), evaluate: { text: ['nowhere.txt'] } };
    const path = recipe('missing', missing);
    const argv = ['compress', SAMPLE_MODEL, '-o', at('missing'), '--recipe', path];
    expect(await errorOf(...argv)).toMatchObject({ code: 'FILE_NOT_FOUND', where: { file: at('nowhere.txt') } });
    expect(existsSync(at('missing'))).toBe(false);
  });
});
