import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  ByteRange,
  CallOptions,
  DecodeTarget,
  Dfloat11Fields,
  Kernels,
  Plane,
} from '../../core/kernels/kernels.ts';
import { loadKernels } from '../../native-kernels/index.ts';

/*
 * The published vectors A, I, V1 and V2 through the door that the engine uses, and files made wrong from them. The Rust tests
 * have all of A to L and V1 to V3, and thousands of damaged units.
 */

const OPTIONS: CallOptions = { threads: 1 };
const folder = mkdtempSync(join(tmpdir(), 'lathe-vectors-'));
let kernels: Kernels;

beforeAll(() => {
  kernels = loadKernels(fileURLToPath(new URL('../../dist/native/lathe-kernels.node', import.meta.url)));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function fileOf(name: string, bytes: Uint8Array): ByteRange {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return { path, offsetBytes: 0, sizeBytes: bytes.length };
}

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** A table row of 256 entries, given as (first entry, value): each value lasts to the next. */
function row(...runs: [first: number, value: number][]): number[] {
  return Array.from({ length: 256 }, (_, entry) => runs.filter(([first]) => first <= entry).pop()?.[1] ?? 0);
}

const EXPONENTS_A = [121, 120, 121, 122, 119, 121, 120, 118, 121, 122, 120, 121, 119, 122, 120, 121];
const SIGN_MANTISSA = Uint8Array.from(EXPONENTS_A, (_, index) => (index * 37) & 255);
const WORDS_A = new Uint8Array(
  Uint16Array.from(EXPONENTS_A, (exponent, index) => {
    const signMantissa = SIGN_MANTISSA[index]!;
    return ((signMantissa & 0x80) << 8) | (exponent << 7) | (signMantissa & 0x7f);
  }).buffer,
);

/** Vector A: 118 has 4 bits, 119 has 3, the others 2; the end mark is 0100. */
const UNIT_A = {
  luts: Uint8Array.from([
    ...row([0, 122], [80, 118], [96, 119], [128, 120], [192, 121]),
    ...row([0, 0], [118, 4], [119, 3], [120, 2], [123, 0]),
  ]),
  encodedExponent: Uint8Array.of(0xec, 0x7c, 0xb9, 0x6c, 0xb4),
  signMantissa: SIGN_MANTISSA,
  outputPositions: u32(0, 16),
  gaps: new Uint8Array(320),
};

type Unit = Record<keyof Dfloat11Fields, Uint8Array>;

async function decode(unit: Unit, elements = 16): Promise<Uint8Array> {
  const fields = Object.fromEntries(Object.entries(unit).map(([field, bytes]) => [field, fileOf(field, bytes)]));
  const target: DecodeTarget = { kind: 'write', ranges: [fileOf('decoded', new Uint8Array(2 * elements))] };
  await kernels.decodeDfloat11(fields as unknown as Dfloat11Fields, elements, target, OPTIONS);
  return new Uint8Array(readFileSync(join(folder, 'decoded')));
}

describe('DFloat11', () => {
  test('vector A is decoded', async () => {
    expect(await decode(UNIT_A)).toEqual(WORDS_A);
  });

  test('vector A is written', async () => {
    const source = [fileOf('source', WORDS_A)];
    const measured = await kernels.measureDfloat11(source, OPTIONS);
    if ('refusal' in measured) throw new Error(measured.refusal);
    expect(measured.plan).toMatchObject({ elements: 16, streamBytes: 5, blocks: 1, positionEntries: 2, lutRows: 2 });
    const empty = Object.entries(UNIT_A).map(([field, bytes]) => [field, fileOf(field, new Uint8Array(bytes.length))]);
    const fields = Object.fromEntries(empty) as unknown as Dfloat11Fields;
    await kernels.encodeDfloat11(source, measured.plan, fields, OPTIONS);
    const written = Object.keys(UNIT_A).map((field) => [field, new Uint8Array(readFileSync(join(folder, field)))]);
    expect(Object.fromEntries(written)).toEqual(UNIT_A);
  });

  test('vector I is refused, with the reason', async () => {
    const counts = Array.from({ length: 200 }, (_, index) => [30 + index, 200 + ((7 * index) % 13)]);
    const exponents = [[10, 40_000], ...counts].flatMap(([exponent, count]) => Array<number>(count!).fill(exponent!));
    const words = new Uint8Array(Uint16Array.from(exponents, (exponent) => exponent << 7).buffer);
    const measured = await kernels.measureDfloat11([fileOf('source', words)], OPTIONS);
    expect(measured).toEqual({ refusal: expect.stringContaining('73 table rows') });
  });

  test.each([
    ['NaN', 0x7fc1],
    ['infinity', 0xff80],
    ['2^113', 0x7800],
  ])('%s is refused: its exponent would act as a pointer', async (_, word) => {
    const source = fileOf('source', new Uint8Array(Uint16Array.of(0x3f80, word).buffer));
    expect(await kernels.measureDfloat11([source], OPTIONS)).toEqual({ refusal: expect.stringContaining('1 of 2') });
  });

  test.each<[string, Partial<Unit>, number?]>([
    ['a pointer beyond the last row', { luts: replaced(UNIT_A.luts, 200, 254) }],
    ['a pointer to its own row, which would loop for ever', { luts: looping() }],
    ['a reachable exponent without a code word', { luts: replaced(UNIT_A.luts, 0, 7) }],
    ['a code word of 33 bits', { luts: replaced(UNIT_A.luts, 256 + 122, 33) }],
    ['tables cut short', { luts: UNIT_A.luts.subarray(0, 300) }],
    ['decreasing positions', { outputPositions: u32(16, 0) }],
    ['a first position that is not 0', { outputPositions: u32(1, 16) }],
    ['a last position that is not the number of weights', { outputPositions: u32(0, 15) }],
    ['positions cut short', { outputPositions: u32(0, 16).subarray(0, 6) }],
    ['truncated gaps', { gaps: new Uint8Array(319) }],
    ['a gap of 31 before a code word of 2 bits', { gaps: replaced(UNIT_A.gaps, 0, 0xf8) }],
    ['an empty stream', { encodedExponent: new Uint8Array(0), gaps: new Uint8Array(0), outputPositions: u32(0) }],
    ['a stream cut short', { encodedExponent: UNIT_A.encodedExponent.subarray(0, 4) }],
    ['a byte of signs and mantissas too few', { signMantissa: SIGN_MANTISSA.subarray(1) }],
  ])('%s is refused', async (_, change) => {
    await expect(decode({ ...UNIT_A, ...change })).rejects.toMatchObject({ code: 'FORMAT_CODED_DATA_MALFORMED' });
  });
});

function replaced(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

/** Three rows, of which the second points at itself. */
function looping(): Uint8Array {
  return Uint8Array.from([...row([0, 255]), ...row([0, 255]), ...UNIT_A.luts.subarray(256)]);
}

describe('split-plane', () => {
  /** Vector V1: the exponents of A. */
  const BOOK: [number, number][] = [
    [118, 256],
    [119, 512],
    [120, 1024],
    [121, 1536],
    [122, 768],
  ];
  const STATES = [
    0x15900, 0x20300, 0x15900, 0x2af00, 0x40100, 0x15900, 0x20300, 0x80000, 0x15900, 0x2af00, 0x20300, 0x15900, 0x40100,
    0x2af00, 0x20300, 0x15900,
  ];
  const BLOB = u32(0, 128, ...STATES, ...Array<number>(16).fill(0x8000));
  /** XXH3-64 of the blob, from Python's xxhash 3.x. */
  const XXH3 = '9412bfc15985cd0a';

  const PLANE: Plane = {
    kind: 'bytes',
    codec: 'rans12x32',
    offset: 0,
    bytes: 136,
    elements: 16,
    first: 0,
    xxh3: XXH3,
    book: BOOK,
  };

  const PAYLOAD_V2 = '6152c3e493e6112ebb8f1bb5487fa383d05840566aa0559cf154e8cd61dcbee9';

  async function encode(exponents: number[]) {
    const source = [fileOf('source', Uint8Array.from(exponents))];
    const output = { path: fileOf('planes', new Uint8Array(0)).path, dataStart: 0, offset: 0 };
    const { planes } = await kernels.encodeSplitPlane(source, 'bytes', 'rans12x32', output, null, OPTIONS);
    return planes;
  }

  test('vector V2 is written', async () => {
    const planes = await encode(Array<number[]>(400).fill(EXPONENTS_A).flat());
    expect(planes).toMatchObject([{ codec: 'rans12x32', bytes: 8 + 1792, elements: 6400, book: BOOK }]);
    const payload = readFileSync(join(folder, 'planes')).subarray(8, 8 + 1792);
    expect(createHash('sha256').update(payload).digest('hex')).toBe(PAYLOAD_V2);
  });

  test('a plane too small to be worth a code is stored raw, whatever coder is asked for', async () => {
    expect(await encode(EXPONENTS_A)).toMatchObject([{ codec: 'raw', bytes: 16 }]);
  });

  async function decodePlane(blob: Uint8Array, plane: Plane): Promise<number[]> {
    const target: DecodeTarget = { kind: 'write', ranges: [fileOf('decoded', new Uint8Array(16))] };
    const input = { path: fileOf('planes', blob).path, dataStart: 0 };
    await kernels.decodeSplitPlane(input, [plane], 'bytes', 16, target, false, OPTIONS);
    return [...readFileSync(join(folder, 'decoded'))];
  }

  test('vector V1 is decoded', async () => {
    expect(await decodePlane(BLOB, PLANE)).toEqual(EXPONENTS_A);
  });

  test.each<[string, string, Uint8Array, Partial<Plane>]>([
    ['a flipped bit', 'FORMAT_CHECKSUM_MISMATCH', replaced(BLOB, 8, 1), {}],
    ['another checksum', 'FORMAT_CHECKSUM_MISMATCH', BLOB, { xxh3: '0'.repeat(16) }],
    ['a file cut short', 'FORMAT_CODED_DATA_MALFORMED', BLOB.subarray(0, 130), {}],
  ])('%s is refused', async (_, code, blob, change) => {
    await expect(decodePlane(blob, { ...PLANE, ...change })).rejects.toMatchObject({ code });
  });

  test.each([
    ['a chunk that ends before it begins', u32(0, 4)],
    ['an offset that is not 0 at first', u32(4, 128)],
    ['a state below 2^15', u32(0, 128, 0x7fff)],
    ['a state that does not end at 2^15', u32(0, 128, 0x15901)],
    ['a lane without elements that does not hold 2^15', u32(0, 128, ...STATES, 0x8001)],
  ])('%s is refused, checksum or not', async (_, start) => {
    const blob = BLOB.slice();
    blob.set(start);
    const xxh3 = await checksumOf(blob);
    await expect(decodePlane(blob, { ...PLANE, xxh3 })).rejects.toMatchObject({ code: 'FORMAT_CODED_DATA_MALFORMED' });
  });

  /** A raw plane of the same bytes is written with the same checksum. */
  async function checksumOf(blob: Uint8Array): Promise<string> {
    const output = { path: fileOf('raw', new Uint8Array(0)).path, dataStart: 0, offset: 0 };
    const { planes } = await kernels.encodeSplitPlane([fileOf('source', blob)], 'bytes', 'raw', output, null, OPTIONS);
    return planes[0]!.xxh3;
  }
});
