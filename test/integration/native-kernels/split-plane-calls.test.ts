import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type {
  ByteRange,
  DecodeTarget,
  Plane,
  PlaneCodec,
  PlaneSplit,
  SplitPlaneTensor,
} from '../../../core/kernels/kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { bytesOf, kernels, sampleTensors, totalBytes, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const DATA_START = 192;
const source = sampleTensors.slice(0, 3).map(({ range }) => range);
const sizeBytes = totalBytes(source);
const discard: DecodeTarget = { kind: 'discard', sizeBytes };

function encode(
  name: string,
  options: { split?: PlaneSplit; coder?: PlaneCodec | 'smallest'; threads?: number; ranges?: ByteRange[] } = {},
): Promise<SplitPlaneTensor> {
  const { split = 'bf16', coder = 'smallest', threads = 2, ranges = source } = options;
  const output = { path: at(name), dataStart: DATA_START, offset: 64 };
  return kernels.encodeSplitPlane(ranges, split, coder, output, null, { threads });
}

function decode(
  name: string,
  planes: Plane[],
  target: DecodeTarget,
  split: PlaneSplit = 'bf16',
): Promise<string | null> {
  const input = { path: at(name), dataStart: DATA_START };
  return kernels.decodeSplitPlane(input, planes, split, sizeBytes, target, true, { threads: 2 });
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('every codec and split gives every byte back and knows its SHA-256', async () => {
  const original = bytesOf(...source);
  for (const split of ['bf16', 'f16', 'f32', 'bytes'] as const) {
    for (const coder of ['smallest', 'raw', 'rans12x32', 'huff12', 'pal4'] as const) {
      const tensor = await encode('coded', { split, coder });
      expect(tensor.sha256).toBe(sha256(original));
      const back = { path: at('back'), offsetBytes: 7, sizeBytes };
      expect(await decode('coded', tensor.planes, { kind: 'write', ranges: [back] }, split)).toBe(tensor.sha256);
      expect(bytesOf(back).equals(original)).toBe(true);
      await decode('coded', tensor.planes, { kind: 'compare', ranges: source }, split);
    }
  }
});

test('the stored bytes do not depend on the thread count', async () => {
  const one = await encode('one', { threads: 1 });
  for (const threads of [2, 3, 8]) {
    expect(await encode('many', { threads })).toEqual(one);
    expect(readFileSync(at('many')).equals(readFileSync(at('one')))).toBe(true);
  }
});

test('planes stand at multiples of 64, and the coded one has its book', async () => {
  const { planes, end } = await encode('coded', { coder: 'rans12x32' });
  expect(planes.map(({ kind, codec, first, elements }) => ({ kind, codec, first, elements }))).toEqual([
    { kind: 'exp', codec: 'rans12x32', first: 0, elements: sizeBytes / 2 },
    { kind: 'sm', codec: 'raw', first: 0, elements: sizeBytes / 2 },
  ]);
  expect(planes.every(({ offset, xxh3 }) => offset % 64 === 0 && /^[0-9a-f]{16}$/.test(xxh3))).toBe(true);
  expect(planes[0]?.book?.reduce((sum, [, frequency]) => sum + frequency, 0)).toBe(4096);
  expect(planes[1]).not.toHaveProperty('book');
  expect(end).toBe((planes[1]?.offset ?? 0) + (planes[1]?.bytes ?? 0));
  expect(readFileSync(at('coded')).length).toBe(DATA_START + end);
});

test('a running digest sees the same bytes as the tensor', async () => {
  const digest = kernels.createDigest();
  const [first, ...rest] = source;
  const output = { path: at('coded'), dataStart: 0, offset: 0 };
  if (first === undefined) throw new Error('the sample model has tensors');
  await kernels.feedDigest(digest, first, { threads: 1 });
  for (const threads of [1, 2]) {
    await kernels.encodeSplitPlane(rest, 'bf16', 'smallest', output, digest, { threads });
  }
  const expected = Buffer.concat([bytesOf(first), bytesOf(...rest), bytesOf(...rest)]);
  expect(digest.hex()).toBe(sha256(expected));
});

test('decoding without the digest answers null', async () => {
  const { planes } = await encode('coded');
  const input = { path: at('coded'), dataStart: DATA_START };
  expect(await kernels.decodeSplitPlane(input, planes, 'bf16', sizeBytes, discard, false, { threads: 1 })).toBeNull();
});

test('an empty tensor has an empty plane', async () => {
  const empty = { path: at('empty'), offsetBytes: 0, sizeBytes: 0 };
  writeFileSync(empty.path, '');
  const tensor = await encode('coded', { ranges: [empty], split: 'bytes' });
  expect(tensor.planes).toMatchObject([{ kind: 'bytes', codec: 'raw', bytes: 0, elements: 0 }]);
  expect(tensor.sha256).toBe(sha256(Buffer.alloc(0)));
});

test('every changed byte of a blob is noticed by its checksum', async () => {
  const { planes, end } = await encode('coded');
  const good = readFileSync(at('coded'));
  const blobs = planes.flatMap(({ offset, bytes }) => [offset, offset + 1, offset + (bytes >> 1), offset + bytes - 1]);
  for (const offset of blobs) {
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(DATA_START + offset) ^ 1, DATA_START + offset);
    writeFileSync(at('coded'), bad);
    expect((await errorOf(() => decode('coded', planes, discard))).code).toBe('FORMAT_CHECKSUM_MISMATCH');
  }
  writeFileSync(at('coded'), good.subarray(0, DATA_START + end - 1));
  const error = await errorOf(() => decode('coded', planes, discard));
  expect(error).toMatchObject({ code: 'FORMAT_CODED_DATA_MALFORMED', where: { file: at('coded') } });
});

test('a description that contradicts the bytes is malformed', async () => {
  const { planes } = await encode('coded', { coder: 'rans12x32' });
  const [exp, sm] = planes;
  if (exp?.book === undefined || sm === undefined) throw new Error('two planes were encoded');
  const bad: Plane[][] = [
    [],
    [exp],
    [sm, sm],
    [{ ...exp, elements: exp.elements - 1 }, sm],
    [{ ...exp, first: 1 }, sm],
    [{ ...exp, offset: exp.offset + 1 }, sm],
    [{ ...exp, offset: -64 }, sm],
    [{ ...exp, codec: 'const' }, sm],
    [{ ...exp, book: [] }, sm],
    [{ ...exp, book: [[300, 4096]] }, sm],
    [{ ...exp, book: exp.book.slice(1) }, sm],
    [exp, { ...sm, bytes: sm.bytes + 1 }],
    [exp, { ...sm, offset: 2 ** 52 }],
  ];
  for (const wrong of bad) {
    expect((await errorOf(() => decode('coded', wrong, discard))).code).toBe('FORMAT_CODED_DATA_MALFORMED');
  }
});

test('names file and byte of the first difference to the original', async () => {
  const { planes } = await encode('coded');
  const original = bytesOf(...source);
  original.writeUInt8(original.readUInt8(70_001) ^ 0x80, 70_001);
  writeFileSync(at('original'), original);
  const ranges = [{ path: at('original'), offsetBytes: 0, sizeBytes }];
  expect(await errorOf(() => decode('coded', planes, { kind: 'compare', ranges }))).toMatchObject({
    code: 'VERIFY_FAILED',
    where: { file: at('original'), byteOffset: 70_001 },
  });
});
