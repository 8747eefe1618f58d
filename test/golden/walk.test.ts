/** Walks over the blocks of the forward fixtures: what listeners hear, saved states, halves left out. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { Decoder } from '../../core/forward/decoder.ts';
import type { MapInputs } from '../../core/forward/forward-pass.ts';
import type {
  DecoderDescription,
  LinearMap,
  Normalization,
} from '../../core/model/architectures/decoder-description.ts';
import { innerMaps, projectionMaps } from '../../core/model/architectures/decoder-tensors.ts';
import { describeDecoder } from '../../core/model/architectures/describe-decoder.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { openOnnxRuntime } from '../../workers/inference/onnx-runtime.ts';
import { drawnWeights, type DrawnTensor } from '../helpers/drawn-weights.ts';
import { kernels } from '../integration/native-kernels/kernels-fixture.ts';

interface Fixture {
  seed: number;
  config: JsonObject;
  tensors: DrawnTensor[];
  ids: number[];
}

const { signal } = new AbortController();
const decoders: Decoder[] = [];
afterEach(async () => {
  for (const decoder of decoders.splice(0)) await decoder.close();
});

async function open(name: string) {
  const fixture = JSON.parse(readFileSync(new URL(`forward/${name}.json`, import.meta.url), 'utf8')) as Fixture;
  const weights = drawnWeights(fixture.seed, fixture.tensors);
  const description = describeDecoder(fixture.config, weights.names);
  const runtime = await openOnnxRuntime({ threads: 1 });
  const decoder = new Decoder({ description, weights, runtime, kernels, threads: 1, memoryLimitBytes: 2 ** 32 });
  decoders.push(decoder);
  const windows = [0, 1, 2].map((shift) => Int32Array.from(fixture.ids, (id) => (id + shift) % decoder.vocabularySize));
  return { decoder, description, weights, windows, rows: windows.length * fixture.ids.length };
}

async function weightOf(weights: WeightSource, name: string): Promise<Float32Array> {
  const values = new Float32Array(weights.shapeOf(name)!.reduce((product, dimension) => product * dimension, 1));
  await weights.read(name, values);
  return values;
}

/** y = W x + b for each row, in double precision. */
async function apply(map: LinearMap, rows: ArrayLike<number>, weights: WeightSource): Promise<Float64Array> {
  const { inFeatures, outFeatures, layout } = map;
  const weight = await weightOf(weights, map.weight);
  const bias = map.bias === null ? null : await weightOf(weights, map.bias);
  const count = rows.length / inFeatures;
  const out = new Float64Array(count * outFeatures);
  for (let row = 0; row < count; row++) {
    for (let to = 0; to < outFeatures; to++) {
      let sum = bias?.[to] ?? 0;
      for (let from = 0; from < inFeatures; from++) {
        const place = layout === 'out-in' ? to * inFeatures + from : from * outFeatures + to;
        sum += weight[place]! * rows[row * inFeatures + from]!;
      }
      out[row * outFeatures + to] = sum;
    }
  }
  return out;
}

async function normalize(norm: Normalization | null, rows: Float32Array, weights: WeightSource): Promise<Float64Array> {
  if (norm === null) return Float64Array.from(rows);
  const weight = await weightOf(weights, norm.weight);
  const bias = norm.bias === null ? null : await weightOf(weights, norm.bias);
  const out = new Float64Array(rows.length);
  for (let start = 0; start < rows.length; start += norm.size) {
    const row = Float64Array.from(rows.subarray(start, start + norm.size));
    const mean = norm.kind === 'layer' ? row.reduce((sum, value) => sum + value, 0) / norm.size : 0;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / norm.size;
    row.forEach((value, index) => {
      const factor = weight[index]! + (norm.addsOne ? 1 : 0);
      out[start + index] = ((value - mean) / Math.sqrt(variance + norm.epsilon)) * factor + (bias?.[index] ?? 0);
    });
  }
  return out;
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found).toHaveLength(expected.length);
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = Array.from(found).reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0);
  expect(worst).toBeLessThanOrEqual(1e-5 * largest);
}

function difference(one: Float32Array, other: Float32Array): Float64Array {
  return Float64Array.from(one, (value, index) => value - other[index]!);
}

/** The inputs of every map of a block, by module, of all windows. */
async function inputsOf(
  { decoder, windows }: Awaited<ReturnType<typeof open>>,
  block: number,
  options: Parameters<Decoder['walk']>[1] = {},
): Promise<Map<string, Float32Array>> {
  const heard = new Map<string, number[]>();
  const hear = ({ maps, rows, block: of, size }: MapInputs) => {
    expect(of).toBe(block);
    expect(rows.length % size).toBe(0);
    for (const map of maps) heard.set(map, [...(heard.get(map) ?? []), ...rows]);
  };
  await decoder.walk(windows, { ...options, onInput: { isWanted: (index) => index === block, hear } }, signal);
  return new Map([...heard].map(([map, rows]) => [map, Float32Array.from(rows)]));
}

function mapsOf({ blocks }: DecoderDescription, block: number): LinearMap[] {
  const { attention, mlp } = blocks[block]!;
  return [...projectionMaps(attention.projections), attention.output, ...innerMaps(mlp), mlp.down];
}

describe.each(['llama-plain', 'qwen2', 'gpt2', 'phi3-partial', 'mistral', 'qwen3'])('a walk over %s', (name) => {
  test('lets the inputs of all linear maps be heard, of all rows, without changing what comes out', async () => {
    const opened = await open(name);
    const { decoder, description, windows, rows } = opened;
    const plain = (await decoder.hiddenStates(windows, signal)).slice();
    const inputs = await inputsOf(opened, 1);
    const maps = mapsOf(description, 1);
    expect([...inputs.keys()].sort()).toEqual(maps.map((map) => map.name).sort());
    for (const map of maps) expect(inputs.get(map.name)).toHaveLength(rows * map.inFeatures);
    let heard = new Float32Array(0);
    const onInput = { isWanted: () => true, hear: () => undefined };
    heard = (await decoder.walk(windows, { onInput }, signal)).slice();
    expectClose(heard, plain);
  });

  test('hears of the projections what the norm makes of the hidden states before the block', async () => {
    const opened = await open(name);
    const { decoder, description, weights, windows } = opened;
    const before: Float32Array[] = [];
    await decoder.walk(windows, { onHidden: (_, hidden) => before.push(hidden.slice()) }, signal);
    expect(before).toHaveLength(description.blocks.length);
    const { attention } = description.blocks[1]!;
    const expected = await normalize(attention.inputNorm, before[1]!, weights);
    const inputs = await inputsOf(opened, 1);
    for (const map of projectionMaps(attention.projections)) expectClose(inputs.get(map.name)!, expected);
  });

  test('gives by the output map of attention, and by the last map of the MLP, what each half adds', async () => {
    const opened = await open(name);
    const { decoder, description, weights, windows } = opened;
    const { attention, mlp } = description.blocks[1]!;
    const start = { block: 1, hidden: (await decoder.walk(windows, { end: 1 }, signal)).slice() };
    for (const [half, map] of [
      ['mlp', attention.output],
      ['attention', mlp.down],
    ] as const) {
      const options = { start, end: 2, isLeftOut: (_: number, which: 'attention' | 'mlp') => which === half };
      const inputs = await inputsOf(opened, 1, options);
      const after = await decoder.walk(windows, options, signal);
      expectClose(difference(after, start.hidden), await apply(map, inputs.get(map.name)!, weights));
    }
    const isLeftOut = (_: number, half: 'attention' | 'mlp') => half === 'attention';
    const inputs = await inputsOf(opened, 1, { start, end: 2, isLeftOut });
    const expected = await normalize(mlp.inputNorm, start.hidden, weights);
    for (const map of innerMaps(mlp)) expectClose(inputs.get(map.name)!, expected);
  });

  test('ends with the same bits when it goes on from saved hidden states', async () => {
    const { decoder, description, windows } = await open(name);
    const whole = (await decoder.hiddenStates(windows, signal)).slice();
    for (let block = 0; block <= description.blocks.length; block++) {
      const hidden = (await decoder.walk(windows, { end: block }, signal)).slice();
      expect(await decoder.walk(windows, { start: { block, hidden } }, signal)).toEqual(whole);
    }
  });

  test('passes by what is left out', async () => {
    const { decoder, description, windows } = await open(name);
    const embedded = (await decoder.walk(windows, { end: 0 }, signal)).slice();
    const end = description.blocks.length;
    const none = await decoder.walk(windows, { end, isLeftOut: () => true }, signal);
    expect(none).toEqual(embedded);
    const one = (await decoder.walk(windows, { end, isLeftOut: (block) => block !== 1 }, signal)).slice();
    const alone = await decoder.walk(windows, { start: { block: 1, hidden: embedded }, end: 2 }, signal);
    expect(alone).toEqual(one);
  });
});
