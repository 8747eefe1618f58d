import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Dfloat11Fields } from '../../../core/kernels/kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { bytesOf, kernels, placeFields, planOf, sampleTensors, totalBytes, useFolder } from './kernels-fixture.ts';

const at = useFolder();

/** A unit as the official patterns make them: the matrices of one decoder block. */
const source = sampleTensors.filter(({ name }) => /layers\.0\..*proj/.test(name)).map(({ range }) => range);

async function encodeUnit(name: string, threads: number): Promise<{ fields: Dfloat11Fields; elements: number }> {
  const plan = await planOf(source);
  const fields = placeFields(at(name), plan);
  await kernels.encodeDfloat11(source, plan, fields, { threads });
  return { fields, elements: plan.elements };
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 0x10, offset);
  writeFileSync(path, bytes);
}

describe('measureDfloat11 and predictDfloat11', () => {
  test('plan a unit whose file has exactly the stored bytes', async () => {
    const plan = await planOf(source);
    expect(plan.elements).toBe(totalBytes(source) / 2);
    expect(plan.isOfficial).toBe(true);
    expect(plan.origin).toBe('official');
    expect(plan.blocks).toBe(Math.ceil(plan.streamBytes / 4096));
    expect(plan.longestCodeBits).toBeLessThanOrEqual(32);
    const { fields } = await encodeUnit('unit', 1);
    expect(readFileSync(at('unit')).length).toBe(plan.storedBytes);
    expect(totalBytes(Object.values(fields))).toBe(plan.storedBytes);
  });

  test('predict the measured size from the statistics of every tensor', async () => {
    for (const { range, dtype } of sampleTensors) {
      const { exponentHistogram } = await kernels.tensorStatistics([range], dtype, { threads: 1 });
      const { storedBytes } = await planOf([range]);
      expect(kernels.predictDfloat11(exponentHistogram ?? [])).toEqual({ storedBytes });
    }
  });

  test('give the reason where DFloat11 cannot hold the weights', async () => {
    writeFileSync(at('weights'), new Uint16Array([0x3f80, 0x7fc0, 0x3f00]));
    const range = { path: at('weights'), offsetBytes: 0, sizeBytes: 6 };
    const measured = await kernels.measureDfloat11([range], { threads: 1 });
    expect(measured).toMatchObject({ refusal: expect.stringContaining('1 of 3 weights are NaN') as string });
    const histogram = new Array<number>(256).fill(0);
    expect(kernels.predictDfloat11(histogram)).toMatchObject({ refusal: expect.any(String) as string });
    histogram[255] = 4;
    expect(kernels.predictDfloat11(histogram)).toMatchObject({ refusal: expect.stringContaining('4 of 4') as string });
  });

  test('refuse a histogram that is none', async () => {
    expect(await errorOf(() => kernels.predictDfloat11([1, 2, 3]))).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
    const negative = new Array<number>(256).fill(-1);
    expect(await errorOf(() => kernels.predictDfloat11(negative))).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
  });
});

describe('encodeDfloat11 and decodeDfloat11', () => {
  test('give every bit back, whatever the thread counts', async () => {
    const original = bytesOf(...source);
    for (const threads of [1, 2, 3, 7]) {
      const { fields, elements } = await encodeUnit(`unit-${threads}`, threads);
      expect(readFileSync(at(`unit-${threads}`)).equals(readFileSync(at('unit-1')))).toBe(true);
      const back = { path: at(`back-${threads}`), offsetBytes: 5, sizeBytes: original.length };
      await kernels.decodeDfloat11(fields, elements, { kind: 'write', ranges: [back] }, { threads });
      expect(bytesOf(back).equals(original)).toBe(true);
      await kernels.decodeDfloat11(fields, elements, { kind: 'compare', ranges: source }, { threads });
      await kernels.decodeDfloat11(fields, elements, { kind: 'discard', sizeBytes: 2 * elements }, { threads });
    }
  });

  test('write decoded weights over the borders of ranges and files', async () => {
    const { fields, elements } = await encodeUnit('unit', 2);
    const ranges = source.map(({ sizeBytes }, index) => ({ path: at(`${index}`), offsetBytes: index, sizeBytes }));
    await kernels.decodeDfloat11(fields, elements, { kind: 'write', ranges }, { threads: 2 });
    expect(bytesOf(...ranges).equals(bytesOf(...source))).toBe(true);
  });

  test('name file and byte of the first difference to the original', async () => {
    const { fields, elements } = await encodeUnit('unit', 2);
    const sizeBytes = 2 * elements;
    for (const offset of [0, 123_456, sizeBytes - 1]) {
      writeFileSync(at('original'), bytesOf(...source));
      flipByte(at('original'), offset);
      const ranges = [{ path: at('original'), offsetBytes: 0, sizeBytes }];
      const call = (): Promise<void> =>
        kernels.decodeDfloat11(fields, elements, { kind: 'compare', ranges }, { threads: 1 });
      expect(await errorOf(call)).toMatchObject({
        code: 'VERIFY_FAILED',
        where: { file: at('original'), byteOffset: offset },
      });
    }
  });

  test('refuse a unit that contradicts itself, naming the field', async () => {
    const { fields, elements } = await encodeUnit('unit', 2);
    for (const [field, name] of [
      [fields.gaps, 'gaps'],
      [fields.outputPositions, 'output_positions'],
      [fields.luts, 'luts'],
    ] as const) {
      flipByte(at('unit'), field.offsetBytes + 3);
      const target = { kind: 'discard', sizeBytes: 2 * elements } as const;
      const error = await errorOf(() => kernels.decodeDfloat11(fields, elements, target, { threads: 1 }));
      expect(error.code).toBe('FORMAT_CODED_DATA_MALFORMED');
      expect(error.what).toContain(name);
      flipByte(at('unit'), field.offsetBytes + 3);
    }
  });

  test('refuse weights that changed since they were measured', async () => {
    writeFileSync(at('weights'), bytesOf(...source));
    const range = { path: at('weights'), offsetBytes: 0, sizeBytes: totalBytes(source) };
    const plan = await planOf([range]);
    writeFileSync(at('weights'), bytesOf(...source).reverse());
    const call = (): Promise<void> =>
      kernels.encodeDfloat11([range], plan, placeFields(at('unit'), plan), { threads: 1 });
    expect(await errorOf(call)).toMatchObject({ code: 'MODEL_CHANGED' });
  });
});
