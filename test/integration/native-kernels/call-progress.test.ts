import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ByteRange, CallOptions } from '../../../core/kernels/kernels.ts';
import { kernels, makeSparse, placeFields, planOf, sampleTensors, totalBytes, useFolder } from './kernels-fixture.ts';

const at = useFolder();

/** What a call tells of its progress: it never falls. */
async function progressOf(threads: number, call: (options: CallOptions) => Promise<unknown>): Promise<number> {
  const seen: number[] = [0];
  await call({ threads, onProgress: (doneBytes) => seen.push(doneBytes) });
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  return seen.at(-1) ?? 0;
}

test('progress grows while a call works', async () => {
  const big = makeSparse(at('sparse'), 2 ** 29);
  const seen: number[] = [];
  await kernels.digestFile(big.path, { threads: 1, onProgress: (doneBytes) => seen.push(doneBytes) });
  expect(new Set(seen).size).toBeGreaterThan(2);
  expect(seen.at(-1)).toBe(big.sizeBytes);
});

test('every call ends its progress at the original bytes that it worked through', async () => {
  const source = sampleTensors.slice(0, 5).map(({ range }) => range);
  const [first] = source;
  if (first === undefined) throw new Error('the sample model has tensors');
  const [bytes, plan] = [totalBytes(source), await planOf(source)];
  const [fields, output] = [placeFields(at('unit'), plan), { path: at('coded'), dataStart: 0, offset: 0 }];
  const target = { kind: 'compare', ranges: source } as const;
  for (const threads of [1, 3]) {
    const done = (call: (options: CallOptions) => Promise<unknown>): Promise<number> => progressOf(threads, call);
    expect(await done((options) => kernels.tensorStatistics(source, 'BF16', options))).toBe(bytes);
    expect(await done((options) => kernels.measureDfloat11(source, options))).toBe(bytes);
    expect(await done((options) => kernels.encodeDfloat11(source, plan, fields, options))).toBe(bytes);
    expect(await done((options) => kernels.decodeDfloat11(fields, plan.elements, target, options))).toBe(bytes);
    expect(await done((options) => kernels.copyRange(first, at('copy'), 0, options))).toBe(first.sizeBytes);
    expect(await done((options) => kernels.compareRanges(first, first, options))).toBe(first.sizeBytes);
    for (const split of ['bf16', 'f32', 'bytes'] as const) {
      const { planes } = await kernels.encodeSplitPlane(source, split, 'smallest', output, null, { threads });
      const encode = (options: CallOptions): Promise<unknown> =>
        kernels.encodeSplitPlane(source, split, 'smallest', output, kernels.createDigest(), options);
      expect(await done(encode)).toBe(bytes);
      const decode = (options: CallOptions): Promise<unknown> =>
        kernels.decodeSplitPlane(output, planes, split, bytes, target, true, options);
      expect(await done(decode)).toBe(bytes);
    }
  }
});

test('measuring twice, where a block might be overfull, counts once', async () => {
  const words = new Uint16Array(100_000).fill(0x3f80);
  words.fill(0x3f00, 90_000);
  writeFileSync(at('weights'), words);
  const source: ByteRange[] = [{ path: at('weights'), offsetBytes: 0, sizeBytes: 200_000 }];
  expect((await planOf(source)).origin).toBe('minimum-length-2');
  expect(await progressOf(2, (options) => kernels.measureDfloat11(source, options))).toBe(200_000);
});
