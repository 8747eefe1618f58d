import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Decoder } from '../../../core/forward/decoder.ts';
import { parseModelConfig } from '../../../core/model/model-config.ts';
import { openModel } from '../../../core/model/open-model.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { openForwardPass } from '../../../workers/inference/open-forward-pass.ts';
import { openWeightSource } from '../../../workers/inference/open-weight-source.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { kernels } from '../native-kernels/kernels-fixture.ts';

const MODEL = 'examples/models/docs-llama-7m';
const GENEROUS_BYTES = 8 * 2 ** 30;

interface Reference {
  prompts: { what: string; ids: number[]; top20: [number, number][]; last_logits?: number[] }[];
}
const reference = JSON.parse(readFileSync(`${MODEL}/reference.json`, 'utf8')) as Reference;

const opened: Decoder[] = [];
afterAll(async () => {
  for (const decoder of opened) await decoder.close();
});

async function openSample({ threads = 1, memoryLimitBytes = GENEROUS_BYTES } = {}): Promise<Decoder> {
  const model = await openModel(MODEL, nodeFileAccess);
  const weights = await openWeightSource(model, kernels, () => ({ threads }));
  const { config } = parseModelConfig(readFileSync(`${MODEL}/config.json`), 'config.json');
  const decoder = await openForwardPass({ config, weights, threads, memoryLimitBytes });
  opened.push(decoder);
  return decoder;
}

const { signal } = new AbortController();

describe('the sample model', () => {
  test.each(reference.prompts)('gives the logits that PyTorch gives: $what', async ({ ids, top20, last_logits }) => {
    const decoder = await openSample();
    const hidden = await decoder.hiddenStates([Int32Array.from(ids)], signal);
    const logits = await decoder.logits(hidden.subarray(hidden.length - decoder.hiddenSize), 1, signal);
    const largest = Math.max(...top20.map(([, logit]) => Math.abs(logit)));
    const expected = last_logits === undefined ? top20 : last_logits.map((logit, id) => [id, logit] as const);
    for (const [id, logit] of expected) expect(Math.abs(logits[id]! - logit)).toBeLessThanOrEqual(2e-4 * largest);
  });

  test('gives the same bits whether weights stay in memory or are read block by block', async () => {
    const windows = [0, 1, 2, 3, 4].map((shift) =>
      Int32Array.from({ length: 128 }, (_, at) => (at * 31 + shift) % 4096),
    );
    const resident = (await (await openSample()).hiddenStates(windows, signal)).slice();
    const streaming = await openSample({ memoryLimitBytes: 1 });
    expect(streaming.batchSize(128)).toBeGreaterThan((await openSample()).batchSize(128));
    expect(await streaming.hiddenStates(windows, signal)).toEqual(resident);
    expect(await streaming.hiddenStates(windows, signal)).toEqual(resident);
  });

  test('gives the same hidden states with more threads, up to the rounding of sums', async () => {
    const windows = [Int32Array.from({ length: 256 }, (_, at) => (at * 31) % 4096)];
    const one = (await (await openSample()).hiddenStates(windows, signal)).slice();
    const largest = one.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const two = await (await openSample({ threads: 2 })).hiddenStates(windows, signal);
    const worst = two.reduce((most, value, index) => Math.max(most, Math.abs(value - one[index]!)), 0);
    // ONNX Runtime may cut a sum of 704 products at other places: 704 roundings of 2^-24, over 16 halves.
    expect(worst).toBeLessThanOrEqual(16 * 704 * 2 ** -24 * largest);
  });

  test('stops between two parts when its signal fires', async () => {
    const decoder = await openSample();
    const windows = Array.from({ length: 64 }, () => new Int32Array(256));
    await decoder.hiddenStates(windows.slice(0, 2), signal);
    const controller = new AbortController();
    const startedAt = performance.now();
    setTimeout(() => controller.abort(), 50);
    expect(await errorOf(() => decoder.hiddenStates(windows, controller.signal))).toHaveProperty(
      'code',
      'JOB_CANCELLED',
    );
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(await errorOf(() => decoder.logits(new Float32Array(256), 1, controller.signal))).toHaveProperty(
      'code',
      'JOB_CANCELLED',
    );
  });

  test('names a token id that has no embedding', async () => {
    const decoder = await openSample();
    for (const id of [-1, 4096]) {
      const error = await errorOf(() => decoder.hiddenStates([Int32Array.of(1, id)], signal));
      expect(error).toMatchObject({ code: 'MODEL_TOKEN_OUT_OF_VOCABULARY' });
      expect(error.what).toContain(String(id));
    }
  });

  test('runs with another weight in the place of a stored one until that is taken back', async () => {
    const decoder = await openSample();
    const windows = [Int32Array.from({ length: 16 }, (_, at) => at)];
    const before = (await decoder.hiddenStates(windows, signal)).slice();
    decoder.replaceWeight('model.layers.3.mlp.down_proj.weight', new Float32Array(256 * 704));
    expect(await decoder.hiddenStates(windows, signal)).not.toEqual(before);
    decoder.replaceWeight('model.layers.3.mlp.down_proj.weight', null);
    expect(await decoder.hiddenStates(windows, signal)).toEqual(before);
  });
});
