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

async function openSample({
  threads = 1,
  memoryLimitBytes = GENEROUS_BYTES,
  onRead = () => {},
} = {}): Promise<Decoder> {
  const model = await openModel(MODEL, nodeFileAccess);
  const weights = await openWeightSource(model, kernels, () => {
    onRead();
    return { threads };
  });
  const { config } = parseModelConfig(readFileSync(`${MODEL}/config.json`), 'config.json');
  const decoder = await openForwardPass({ config, weights, kernels, threads, memoryLimitBytes });
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
    let reads = 0;
    const streaming = await openSample({ memoryLimitBytes: 1, onRead: () => reads++ });
    expect(await streaming.hiddenStates(windows, signal)).toEqual(resident);
    const afterOne = reads;
    expect(await streaming.hiddenStates(windows, signal)).toEqual(resident);
    expect(reads).toBeGreaterThan(afterOne);
  });

  test('gives the same bits however many windows are run together', async () => {
    const windows = Array.from({ length: 9 }, (_, shift) => Int32Array.from({ length: 64 }, (_, at) => at * 7 + shift));
    const decoder = await openSample();
    const together = (await decoder.hiddenStates(windows, signal)).slice();
    for (const [index, window] of windows.entries()) {
      const alone = await decoder.hiddenStates([window], signal);
      expect(alone).toEqual(together.slice(index * alone.length, (index + 1) * alone.length));
    }
    const rows = 9 * 64;
    const logits = (await decoder.logits(together, rows, signal)).slice();
    for (const [first, count] of [
      [0, 1],
      [1, 1],
      [300, 2],
      [301, 3],
      [7, 17],
      [rows - 1, 1],
    ] as const) {
      const some = await decoder.logits(together.slice(first * 256, (first + count) * 256), count, signal);
      expect(some).toEqual(logits.slice(first * 4096, (first + count) * 4096));
    }
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
