import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { DecodeTarget } from '../../../core/kernels/kernels.ts';
import type { BlockFormat, WeightSource } from '../../../core/kernels/quantize-kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { kernels, sampleTensors, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const matrix = sampleTensors.find(({ name }) => name === 'model.layers.0.self_attn.q_proj.weight')!;
const source: WeightSource = { ranges: [matrix.range], type: 'BF16', columns: 256, order: 'stored', heads: 0 };
const weights = matrix.range.sizeBytes / 2;

function into(name: string, sizeBytes: number): DecodeTarget {
  return { kind: 'write', ranges: [{ path: at(name), offsetBytes: 0, sizeBytes }] };
}

function format(type: BlockFormat['type'], importance: Float32Array | null = null): BlockFormat {
  return { type, importance, magnitudeSpread: null };
}

test('writes blocks whose decoded weights have the error that was said', async () => {
  const sizeBytes = (weights / 256) * 144;
  const importance = Float32Array.from({ length: 256 }, (_, column) => 1 + (column % 3));
  const answers = [];
  for (const threads of [1, 3]) {
    const found = await kernels.quantizeGgml(source, format('Q4_K', importance), into(`${threads}`, sizeBytes), {
      threads,
    });
    answers.push(found);
  }
  expect(readFileSync(at('3')).equals(readFileSync(at('1')))).toBe(true);
  expect(answers[1]).toEqual(answers[0]);
  const compared = await kernels.compareGgml(
    {
      source: { path: at('1'), offsetBytes: 0, sizeBytes },
      type: 'Q4_K',
      columns: 256,
      order: 'stored',
      heads: 0,
      add: 0,
    },
    'BF16',
    matrix.range,
    { threads: 2 },
  );
  expect(answers[0]).toMatchObject({
    figures: { weights, squaredError: compared.squaredError, maxAbsError: compared.maxAbsError },
  });
});

test('pairs of rows come back in their order', async () => {
  const sizeBytes = (weights / 32) * 34;
  await kernels.quantizeGgml(source, format('Q8_0'), into('stored', sizeBytes), { threads: 2 });
  const paired: WeightSource = { ...source, order: 'halves-to-pairs', heads: 4 };
  await kernels.quantizeGgml(paired, format('Q8_0'), into('paired', sizeBytes), { threads: 2 });
  const decode = async (name: string, order: 'stored' | 'even-then-odd') => {
    const stored = { path: at(name), offsetBytes: 0, sizeBytes: statSync(at(name)).size };
    const tensor = { source: stored, type: 'Q8_0' as const, columns: 256, order, heads: 4, add: 0 };
    const out = new Float32Array(weights);
    await kernels.dequantizeGgml(tensor, out, { threads: 1 });
    return out;
  };
  expect(readFileSync(at('paired')).equals(readFileSync(at('stored')))).toBe(false);
  expect(await decode('paired', 'even-then-odd')).toEqual(await decode('stored', 'stored'));
});

test('says why a format cannot hold weights, and names what is no number', async () => {
  const floats = new Float32Array(512).fill(0.5);
  floats[300] = 1e6;
  writeFileSync(at('large'), floats);
  const large: WeightSource = {
    ...source,
    ranges: [{ path: at('large'), offsetBytes: 0, sizeBytes: 2048 }],
    type: 'F32',
  };
  const refused = await kernels.quantizeGgml(
    large,
    format('Q4_K'),
    { kind: 'discard', sizeBytes: 288 },
    { threads: 1 },
  );
  expect(refused).toEqual({ refusal: 'weight 300 is 1000000, Q4_K holds magnitudes up to 65504' });
  floats[300] = NaN;
  writeFileSync(at('large'), floats);
  const discard: DecodeTarget = { kind: 'discard', sizeBytes: 288 };
  expect(await errorOf(() => kernels.quantizeGgml(large, format('Q4_K'), discard, { threads: 1 }))).toMatchObject({
    code: 'NUMERICS_NOT_FINITE',
    what: 'Weight 300 is NaN.',
  });
});

test('a row that is no whole block is a bug of the caller', async () => {
  const odd: WeightSource = { ...source, columns: 96 };
  const answer = () => kernels.quantizeGgml(odd, format('Q4_K'), { kind: 'discard', sizeBytes: 144 }, { threads: 1 });
  expect(await errorOf(answer)).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
});

test('error feedback loses less than rounding to nearest under the same inputs', async () => {
  // Inputs that all share one direction.
  const shared = Float32Array.from({ length: 256 }, (_, column) => Math.sin(column) + 1.5);
  const gram = Float32Array.from({ length: 256 * 256 }, (_, index) => {
    const [row, column] = [Math.floor(index / 256), index % 256];
    return shared[row]! * shared[column]! + (row === column ? 1 : 0);
  });
  writeFileSync(at('gram'), gram);
  const inputs = {
    range: { path: at('gram'), offsetBytes: 0, sizeBytes: gram.byteLength },
    damping: 0.01,
    isOrdered: true,
  };
  const target = into('blocks', (weights / 256) * 144);
  const found = await kernels.gptqGgml(source, inputs, format('Q4_K'), target, { threads: 2 });
  expect(found).toMatchObject({ feedback: { damping: 0.01, deadColumns: 0 }, figures: { weights } });
  const { feedback } = found as { feedback: { loss: number; nearestLoss: number } };
  expect(feedback.loss).toBeLessThan(feedback.nearestLoss);
});
