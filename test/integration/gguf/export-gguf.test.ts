import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GgufMix } from '../../../core/contract/gguf-mixes.ts';
import type { ExportGgufOptions } from '../../../workers/engine/index.ts';
import { exportGgufJob } from '../../../workers/jobs/export-gguf-job.ts';
import type { QuantizeKernels } from '../../../core/kernels/quantize-kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL, sha256 } from '../../helpers/sample-gguf.ts';
import { hookedKernels, useWorkplace } from '../engine/engine-fixture.ts';

const place = useWorkplace();

function options(type: GgufMix, parts: Partial<ExportGgufOptions> = {}): ExportGgufOptions & { type: GgufMix } {
  const output = place().at('model.gguf');
  const plain = { calibration: null, imatrix: null, method: 'rtn' as const, hasTokenizer: true, force: false };
  return { ...place().options(), model: SAMPLE_MODEL, output, ...plain, ...parts, type };
}

/** The sample model with another file in place of one of its own. */
function changedModel(file: string, change: (text: string) => string): string {
  cpSync(SAMPLE_MODEL, place().at('changed'), { recursive: true });
  const path = join(place().at('changed'), file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
  return place().at('changed');
}

describe('export to GGUF', () => {
  // What llama.cpp's quantizer makes of the same model, without importance: stored bits of all weights, and of the blocks'.
  it.each<[GgufMix, number, number]>([
    ['Q8_0', 8.515, 8.5],
    ['Q6_K', 6.98, 7.036],
    ['Q5_K_M', 6.06, 5.951],
    ['Q4_K_M', 5.386, 5.157],
    ['Q4_K_S', 5.068, 4.782],
    ['Q4_0', 4.828, 4.5],
    ['IQ4_NL', 4.867, 4.546],
    ['IQ4_XS', 4.707, 4.357],
    ['Q3_K_M', 4.484, 4.094],
    ['Q2_K', 3.718, 3.192],
  ])('makes %s as large as llama.cpp does, and the file is verified', async (type, bits, blockBits) => {
    const result = await place().engine.exportGguf(options(type));
    expect(result.bitsPerWeight).toBeCloseTo(bits, 3);
    expect(result.bitsPerBlockWeight).toBeCloseTo(blockBits, 3);
    expect(result).toMatchObject({ type, verified: true, sha256: sha256(readFileSync(result.path)) });
    const worst = Math.max(...result.tensors.map(({ relativeError }) => relativeError));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(2 ** (1 - bits) * 2);
    expect(readdirSync(place().folder)).toEqual(['model.gguf']);
  });

  it('says which tensors could not be what was asked for, and why', async () => {
    const { notes, tensors } = await place().engine.exportGguf(options('Q4_K_M'));
    expect(notes).toHaveLength(2);
    expect(notes[1]).toMatch(/^4 tensors are Q5_0 instead of Q4_K: rows of 704 weights are no whole blocks of 256/);
    expect(tensors.find(({ name }) => name === 'blk.1.ffn_down.weight')).toMatchObject({
      type: 'Q5_0',
      insteadOf: 'Q4_K',
    });
  });

  it.each<GgufMix>(['BF16', 'F32'])('gives back the very bytes of the model from %s', async (type) => {
    const { path, tensors } = await place().engine.exportGguf(options(type, { threads: 2 }));
    expect(tensors.every(({ maxAbsError }) => maxAbsError === 0)).toBe(true);
    await place().restore(path, place().at('back'), { dtype: 'bf16' });
    const original = readFileSync(join(SAMPLE_MODEL, 'model.safetensors'));
    const restored = readFileSync(join(place().at('back'), 'model.safetensors'));
    const dataOf = (file: Buffer) => file.subarray(8 + Number(file.readBigUInt64LE(0)));
    expect(sha256(dataOf(restored))).toBe(sha256(dataOf(original)));
  });

  it('gives the same bytes at any thread count', async () => {
    const one = await place().engine.exportGguf(options('Q4_K_M', { threads: 1 }));
    const three = await place().engine.exportGguf(options('Q4_K_M', { threads: 3, output: place().at('other.gguf') }));
    expect(three.sha256).toBe(one.sha256);
  });

  it('keeps an existing file unless it is told to replace it', async () => {
    const path = join(place().write('.', { 'model.gguf': 'mine' }), 'model.gguf');
    expect((await errorOf(() => place().engine.exportGguf(options('Q8_0')))).code).toBe('JOB_OUTPUT_EXISTS');
    expect(readFileSync(path, 'utf8')).toBe('mine');
    expect((await place().engine.exportGguf(options('Q8_0', { force: true }))).verified).toBe(true);
    expect(readFileSync(path).subarray(0, 4).toString()).toBe('GGUF');
  });

  it('finds what was not written as it was quantized, and leaves nothing, nor takes the old file away', async () => {
    place().write('.', { 'model.gguf': 'mine' });
    const kernels = hookedKernels((name, args) => {
      if (name !== 'compareGgml' || !JSON.stringify(args[0]).includes('model.gguf')) return;
      const { source } = args[0] as { source: { path: string; offsetBytes: number } };
      const bytes = readFileSync(source.path);
      bytes[source.offsetBytes + 3] = (bytes[source.offsetBytes + 3] ?? 0) ^ 4;
      writeFileSync(source.path, bytes);
    }) as QuantizeKernels;
    const measure = () => Promise.reject(new Error('not asked for'));
    const error = await errorOf(() => exportGgufJob(options('Q8_0', { force: true }), kernels, measure));
    expect(error).toMatchObject({ code: 'VERIFY_FAILED', where: { tensor: expect.any(String) as string } });
    expect(readdirSync(place().folder)).toEqual(['model.gguf']);
    expect(readFileSync(place().at('model.gguf'), 'utf8')).toBe('mine');
  });

  it('stops when it is told to, and leaves nothing', async () => {
    const stop = new AbortController();
    const onEvent = () => stop.abort();
    const error = await errorOf(() => place().engine.exportGguf(options('Q4_K_M', { signal: stop.signal, onEvent })));
    expect(error.code).toBe('JOB_CANCELLED');
    expect(readdirSync(place().folder)).toEqual([]);
  });

  it.each<[string, string, (text: string) => string, string, RegExp]>([
    [
      'a family that it cannot write',
      'config.json',
      (text) => text.replaceAll('"llama"', '"gpt_neox"'),
      'MODEL_ARCHITECTURE_UNKNOWN',
      /gpt_neox/,
    ],
    [
      'positions that GGUF cannot say',
      'config.json',
      (text) => text.trimEnd().replace(/}$/, ', "rope_scaling": {"rope_type": "dynamic", "factor": 2}}'),
      'MODEL_ARCHITECTURE_UNKNOWN',
      /dynamic/,
    ],
    [
      'a tokenizer of unknown steps',
      'tokenizer.json',
      (text) => text.replaceAll('"ByteLevel"', '"Whitespace"'),
      'TOKENIZER_NOT_SUPPORTED',
      /Whitespace/,
    ],
  ])('refuses %s before anything is written', async (_, file, change, code, message) => {
    const model = changedModel(file, change);
    const error = await errorOf(() => place().engine.exportGguf(options('Q8_0', { model })));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(existsSync(place().at('model.gguf.lathe-partial'))).toBe(false);
  });

  it('is a command, which refuses types and names that it does not know', async () => {
    const output = place().at('cli.gguf');
    const done = await runLathe(['export', SAMPLE_MODEL, '--to', 'gguf', '--type', 'q4_k_m', '-o', output, '--json']);
    expect(done.json()).toMatchObject({ schema: 1, format: 'gguf', type: 'Q4_K_M', path: output, verified: true });
    const evaluated = await runLathe([
      'evaluate',
      output,
      '--reference',
      SAMPLE_MODEL,
      '--limit-tokens',
      '2048',
      '--text',
      join(SAMPLE_MODEL, '../../texts/docs.test.txt'),
      '--json',
    ]);
    const { klDivergence } = evaluated.json<{ klDivergence: { mean: number } }>();
    expect(klDivergence.mean).toBeGreaterThan(0.001);
    expect(klDivergence.mean).toBeLessThan(0.006);
    for (const [type, path] of [
      ['q9_k', output],
      ['q8_0', place().at('model.bin')],
    ] as const) {
      const refused = await runLathe(['export', SAMPLE_MODEL, '--to', 'gguf', '--type', type, '-o', path, '--json']);
      expect([refused.code, refused.json()]).toMatchObject([2, { error: { code: 'USAGE_INVALID_ARGUMENT' } }]);
    }
  });
});
