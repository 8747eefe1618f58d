import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Dtype } from '../../../core/formats/safetensors/dtypes.ts';
import type { ByteRange, PlaneSplit, TensorStatistics } from '../../../core/kernels/kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { bytesOf, kernels, sampleTensors, useFolder } from './kernels-fixture.ts';

const at = useFolder();

/** Plain arithmetic over BF16 words, as a judge. */
function judge(range: ByteRange): Pick<TensorStatistics, 'exponentHistogram' | 'min' | 'max' | 'rms' | 'zeroFraction'> {
  const bytes = bytesOf(range);
  const exponentHistogram = new Array<number>(256).fill(0);
  const float = new DataView(new ArrayBuffer(4));
  let [min, max, squares, zeros] = [Infinity, -Infinity, 0, 0];
  const count = bytes.length / 2;
  for (let index = 0; index < count; index++) {
    const word = bytes.readUInt16LE(2 * index);
    exponentHistogram[(word >> 7) & 255]! += 1;
    float.setUint32(0, word * 65536);
    const value = float.getFloat32(0);
    min = Math.min(min, value);
    max = Math.max(max, value);
    squares += value * value;
    zeros += value === 0 ? 1 : 0;
  }
  return { exponentHistogram, min, max, rms: Math.sqrt(squares / count), zeroFraction: zeros / count };
}

function store(bytes: Uint8Array): ByteRange {
  writeFileSync(at('tensor'), bytes);
  return { path: at('tensor'), offsetBytes: 0, sizeBytes: bytes.byteLength };
}

test('sums up every tensor of the sample model as plain arithmetic does', async () => {
  for (const { range, dtype } of sampleTensors) {
    const found = await kernels.tensorStatistics([range], dtype, { threads: 2 });
    const { rms, ...expected } = judge(range);
    expect(found).toMatchObject({ elements: range.sizeBytes / 2, nanCount: 0, infiniteCount: 0, ...expected });
    expect(found.rms).toBeCloseTo(rms ?? NaN, 10);
    const total = range.sizeBytes / 2;
    const entropy = (expected.exponentHistogram ?? [])
      .filter((occurrences) => occurrences > 0)
      .reduce((sum, occurrences) => sum - (occurrences / total) * Math.log2(occurrences / total), 0);
    expect(found.exponentEntropyBits).toBeCloseTo(entropy, 10);
  }
});

test('figures do not depend on the thread count', async () => {
  const ranges = sampleTensors.map(({ range }) => range);
  const one = await kernels.tensorStatistics(ranges, 'BF16', { threads: 1 });
  for (const threads of [2, 5]) {
    expect(await kernels.tensorStatistics(ranges, 'BF16', { threads })).toEqual(one);
  }
});

test('predicts the split-plane size within a thousandth and a few bytes, of every dtype', async () => {
  const splits = new Map<Dtype, PlaneSplit>([
    ['BF16', 'bf16'],
    ['F16', 'f16'],
    ['F32', 'f32'],
    ['I64', 'bytes'],
    ['U8', 'bytes'],
    ['F8_E4M3', 'bytes'],
  ]);
  for (const { range } of sampleTensors.slice(0, 4)) {
    for (const [dtype, split] of splits) {
      const { splitPlaneBytes } = await kernels.tensorStatistics([range], dtype, { threads: 2 });
      const output = { path: at('coded'), dataStart: 0, offset: 0 };
      const { end } = await kernels.encodeSplitPlane([range], split, 'smallest', output, null, { threads: 2 });
      expect(Math.abs(splitPlaneBytes - end)).toBeLessThanOrEqual(end / 1000 + 64);
      expect(readFileSync(at('coded')).length).toBeGreaterThanOrEqual(end);
    }
  }
});

test('counts what is not a number apart from the rest', async () => {
  const words = new Uint16Array([0x3f80, 0xc000, 0x0000, 0x8000, 0x7f80, 0x7fc1, 0xff80]);
  const found = await kernels.tensorStatistics([store(new Uint8Array(words.buffer))], 'BF16', { threads: 1 });
  expect(found).toMatchObject({ elements: 7, min: -2, max: 1, zeroFraction: 2 / 7, nanCount: 1, infiniteCount: 2 });
});

test('what a dtype does not have is null', async () => {
  const eight = store(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
  expect(await kernels.tensorStatistics([eight], 'U8', { threads: 1 })).toMatchObject({
    exponentHistogram: null,
    exponentEntropyBits: null,
    min: 1,
    max: 8,
  });
  const packed = await kernels.tensorStatistics([eight], 'F4', { threads: 1 });
  expect(packed).toMatchObject({
    min: null,
    max: null,
    rms: null,
    zeroFraction: null,
    nanCount: 0,
    splitPlaneBytes: 8,
  });
  const empty = await kernels.tensorStatistics([{ ...eight, sizeBytes: 0 }], 'F32', { threads: 1 });
  expect(empty).toMatchObject({
    elements: 0,
    exponentHistogram: null,
    min: null,
    zeroFraction: null,
    splitPlaneBytes: 0,
  });
  const constant = await kernels.tensorStatistics([store(new Uint8Array(1000))], 'F16', { threads: 1 });
  expect(constant).toMatchObject({ zeroFraction: 1, exponentEntropyBits: 0, splitPlaneBytes: 65 });
});

test('half an element is a mistake of the caller', async () => {
  const call = (): Promise<unknown> => kernels.tensorStatistics([store(new Uint8Array(3))], 'BF16', { threads: 1 });
  expect(await errorOf(call)).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
});
