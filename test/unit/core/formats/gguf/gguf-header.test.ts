import { describe, expect, test } from 'vitest';
import { readGgufHeader } from '../../../../../core/formats/gguf/gguf-header.ts';
import { readGgufArray, type GgufArray } from '../../../../../core/formats/gguf/gguf-metadata.ts';
import type { ErrorCode } from '../../../../../core/errors.ts';
import { buildGguf, floatBytes, type GgufSpec, type GgufTensorSpec } from '../../../../helpers/build-gguf.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../../helpers/memory-files.ts';

const F32 = 0;
const Q8_0 = 8;
const WEIGHT: GgufTensorSpec = { name: 'w', type: F32, shape: [2, 4], data: floatBytes([1, 2, 3, 4, 5, 6, 7, 8]) };
const BLOCKS: GgufTensorSpec = { name: 'q', type: Q8_0, shape: [3, 64], data: new Uint8Array(3 * 2 * 34) };
const ARCHITECTURE = ['general.architecture', 'string', 'llama'] as const;

function read(spec: GgufSpec | Uint8Array) {
  const bytes = spec instanceof Uint8Array ? spec : buildGguf(spec);
  const file = { path: '/m.gguf', file: 'm.gguf', sizeBytes: bytes.length };
  const files = new MemoryFiles({ '/m.gguf': bytes });
  return { header: readGgufHeader(file, files), file, files };
}

describe('what a sound header holds', () => {
  test('the smallest file of the specification', async () => {
    const hex =
      '4747554603000000010000000000000001000000000000001400000000000000' +
      Buffer.from('general.architecture').toString('hex') +
      '08000000' +
      '0500000000000000' +
      Buffer.from('llama').toString('hex') +
      '010000000000000077010000002000000000000000080000000000000000000000';
    const start = Buffer.from(hex, 'hex');
    expect(start.length).toBe(102);
    const bytes = new Uint8Array(192);
    bytes.set(start);
    const { tensors, dataStart, metadata, version, trailingBytes } = await read(bytes).header;
    expect({ version, dataStart, trailingBytes }).toEqual({ version: 3, dataStart: 128, trailingBytes: 0 });
    expect(metadata.get('general.architecture')).toEqual({ type: 'string', value: 'llama' });
    expect(tensors).toEqual([{ name: 'w', type: 'Q8_0', shape: [32], elements: 32, sizeBytes: 34, offsetBytes: 128 }]);
  });

  test('tensors one after the other, shapes turned to [out, in]', async () => {
    const scalar: GgufTensorSpec = { name: 's', type: F32, shape: [], data: floatBytes([1]) };
    const empty: GgufTensorSpec = { name: 'e', type: F32, shape: [0, 7] };
    for (const alignment of [8, 32, 4096]) {
      const { tensors, dataStart } = await read({
        metadata: [['general.alignment', 'u32', alignment]],
        alignment,
        tensors: [BLOCKS, scalar, empty, WEIGHT],
      }).header;
      const pad = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
      expect(tensors.map(({ name, shape, sizeBytes }) => [name, shape, sizeBytes])).toEqual([
        ['q', [3, 64], 204],
        ['s', [], 4],
        ['e', [0, 7], 0],
        ['w', [2, 4], 32],
      ]);
      const offsets = tensors.map(({ offsetBytes }) => offsetBytes - dataStart);
      expect(offsets).toEqual([0, pad(204), pad(204) + pad(4), pad(204) + pad(4)]);
    }
  });

  test('values of all types, lists by their place alone', async () => {
    const metadata: GgufSpec['metadata'] = [
      ['u8', 'u8', 255],
      ['i8', 'i8', -128],
      ['u16', 'u16', 65_535],
      ['i16', 'i16', -32_768],
      ['u32', 'u32', 4_294_967_295],
      ['i32', 'i32', -2_147_483_648],
      ['f32', 'f32', 0.5],
      ['yes', 'bool', true],
      ['text', 'string', 'größe \u{1f600}'],
      ['list', 'array', { of: 'string', items: ['a', '', 'Ġb'] }],
      [
        'nested',
        'array',
        {
          of: 'array',
          items: [
            { of: 'u16', items: [1, 2] },
            { of: 'f64', items: [] },
          ],
        },
      ],
      ['small u64', 'u64', 2n ** 53n - 1n],
      ['large u64', 'u64', 2n ** 64n - 1n],
      ['i64', 'i64', -(2n ** 63n)],
      ['f64', 'f64', Math.PI],
      ['floats', 'array', { of: 'f32', items: [1.5, -2] }],
      ['flags', 'array', { of: 'bool', items: [1, 0] }],
    ];
    const { header, file, files } = read({ metadata });
    const found = (await header).metadata;
    const scalars = [...found].filter(([, { value }]) => typeof value !== 'object');
    expect(Object.fromEntries(scalars.map(([key, { value }]) => [key, value]))).toEqual({
      u8: 255,
      i8: -128,
      u16: 65_535,
      i16: -32_768,
      u32: 4_294_967_295,
      i32: -2_147_483_648,
      f32: 0.5,
      yes: true,
      text: 'größe \u{1f600}',
      'small u64': Number.MAX_SAFE_INTEGER,
      'large u64': 2n ** 64n - 1n,
      i64: -(2n ** 63n),
      f64: Math.PI,
    });
    const items = (key: string) => readGgufArray(file, found.get(key)?.value as GgufArray, files);
    expect(await items('list')).toEqual(['a', '', 'Ġb']);
    expect(await items('nested')).toEqual([[1, 2], []]);
    expect(await items('floats')).toEqual([1.5, -2]);
    expect(await items('flags')).toEqual([true, false]);
  });

  test('a vocabulary of many pieces is walked through in bounded reads', async () => {
    const items = Array.from({ length: 200_000 }, (_, index) => `token ${index}`);
    const { header, file, files } = read({
      metadata: [['tokens', 'array', { of: 'string', items }], [...ARCHITECTURE]],
      tensors: [WEIGHT],
    });
    const { metadata, tensors } = await header;
    expect(files.reads.length).toBeLessThan(8);
    expect(tensors).toHaveLength(1);
    expect(await readGgufArray(file, metadata.get('tokens')?.value as GgufArray, files)).toEqual(items);
  });

  test('version 2, no tensors, bytes after the last tensor', async () => {
    expect(await read({ version: 2 }).header).toMatchObject({ version: 2, tensors: [], trailingBytes: 0 });
    const spec = { tensors: [WEIGHT], trailing: new Uint8Array(5) };
    expect(await read(spec).header).toMatchObject({ trailingBytes: 5 });
    // The last tensor's padding may be missing.
    expect(await read({ tensors: [BLOCKS], cutBytes: 20 }).header).toMatchObject({ trailingBytes: 0 });
  });
});

const HUGE = 2n ** 63n;
const U64 = 2n ** 64n - 1n;
const nested = (depth: number): unknown => {
  return depth === 0 ? { of: 'u8', items: [] } : { of: 'array', items: [nested(depth - 1)] };
};

describe('refuses', () => {
  test.each<[string, ErrorCode, GgufSpec | Uint8Array]>([
    ['an empty file', 'FORMAT_FILE_CUT_SHORT', new Uint8Array(0)],
    ['a file of 23 bytes', 'FORMAT_FILE_CUT_SHORT', buildGguf({}).subarray(0, 23)],
    ['another magic', 'FORMAT_HEADER_INVALID', { magic: 'GGML' }],
    ['version 1', 'FORMAT_UNSUPPORTED_VERSION', { version: 1 }],
    ['version 4', 'FORMAT_UNSUPPORTED_VERSION', { version: 4 }],
    ['a big-endian file', 'FORMAT_UNSUPPORTED_VERSION', { version: 0x03000000 }],
    ['more keys than may be', 'FORMAT_HEADER_TOO_LARGE', { keyCount: U64 }],
    ['more keys than there are', 'FORMAT_HEADER_OUT_OF_FILE', { keyCount: 1000n }],
    ['more tensors than there are', 'FORMAT_HEADER_OUT_OF_FILE', { tensorCount: U64 }],
    ['one tensor too many', 'FORMAT_HEADER_OUT_OF_FILE', { tensorCount: 1n }],
    ['a key that ends past the file', 'FORMAT_HEADER_OUT_OF_FILE', longText(HUGE)],
    ['a key longer than the rest', 'FORMAT_HEADER_OUT_OF_FILE', longText(100n)],
    ['a key above 65,535 bytes', 'FORMAT_HEADER_TOO_LARGE', { metadata: [['k'.repeat(65_536), 'u8', 0]] }],
    ['an empty key', 'FORMAT_HEADER_INVALID', { metadata: [['', 'u8', 0]] }],
    ['a key that is not UTF-8', 'FORMAT_HEADER_INVALID', { metadata: [[new Uint8Array([0xff]), 'u8', 0]] }],
    ['a text that is not UTF-8', 'FORMAT_HEADER_INVALID', { metadata: [['k', 'string', new Uint8Array([0xc3])]] }],
    [
      'a repeated key',
      'FORMAT_DUPLICATE_KEY',
      {
        metadata: [
          ['k', 'u8', 0],
          ['k', 'u16', 1],
        ],
      },
    ],
    ['a value of an unknown type', 'FORMAT_HEADER_INVALID', { metadata: [['k', 'unknown', 13]] }],
    ['a value of a huge type', 'FORMAT_HEADER_INVALID', { metadata: [['k', 'unknown', 0xffffffff]] }],
    ['a bool of 2', 'FORMAT_HEADER_INVALID', { metadata: [['k', 'bool', 2]] }],
    ['a list of more bytes than the file has', 'FORMAT_HEADER_OUT_OF_FILE', list('u64', U64)],
    ['a list of more texts than the file can hold', 'FORMAT_HEADER_OUT_OF_FILE', list('string', 1_000_000n)],
    ['a list of more lists than the file can hold', 'FORMAT_HEADER_OUT_OF_FILE', list('array', 1n << 40n)],
    ['lists in lists in lists', 'FORMAT_HEADER_TOO_DEEP', { metadata: [['k', 'array', nested(4) as never]] }],
    ['a tensor without a name', 'FORMAT_HEADER_INVALID', { tensors: [{ ...WEIGHT, name: '' }] }],
    ['a name of 65 bytes', 'FORMAT_HEADER_TOO_LARGE', { tensors: [{ ...WEIGHT, name: 'n'.repeat(65) }] }],
    ['a repeated name', 'FORMAT_DUPLICATE_KEY', { tensors: [WEIGHT, WEIGHT] }],
    ['five dimensions', 'FORMAT_HEADER_INVALID', { tensors: [{ ...WEIGHT, shape: [1, 1, 1, 2, 4] }] }],
    ['a type that was given up', 'FORMAT_UNKNOWN_DTYPE', { tensors: [{ ...WEIGHT, type: 4 }] }],
    ['a type that never was', 'FORMAT_UNKNOWN_DTYPE', { tensors: [{ ...WEIGHT, type: 0xffffffff }] }],
    ['a dimension above 2^53', 'FORMAT_SHAPE_OVERFLOW', { tensors: [{ ...WEIGHT, shape: [1, U64] }] }],
    ['more elements than 2^53', 'FORMAT_SHAPE_OVERFLOW', { tensors: [{ ...WEIGHT, shape: [1 << 27, 1 << 27] }] }],
    ['more bytes than 2^53', 'FORMAT_SHAPE_OVERFLOW', { tensors: [{ ...WEIGHT, shape: [2 ** 52] }] }],
    ['rows that end inside a block', 'FORMAT_SHAPE_MISMATCH', { tensors: [{ ...BLOCKS, shape: [4, 48] }] }],
    ['a scalar of a block type', 'FORMAT_SHAPE_MISMATCH', { tensors: [{ ...BLOCKS, shape: [] }] }],
    ['an overlap', 'FORMAT_TENSOR_OVERLAP', { tensors: [WEIGHT, { ...BLOCKS, offset: 0n }] }],
    ['a gap', 'FORMAT_TENSOR_GAP', { tensors: [WEIGHT, { ...BLOCKS, offset: 64n }] }],
    ['a tensor off its alignment', 'FORMAT_TENSOR_GAP', { tensors: [{ ...WEIGHT, offset: 1n }] }],
    ['a huge offset', 'FORMAT_TENSOR_GAP', { tensors: [{ ...WEIGHT, offset: U64 }] }],
    ['a tensor that ends past the file', 'FORMAT_TENSOR_OUT_OF_FILE', { tensors: [WEIGHT], cutBytes: 1 }],
    [
      'a tensor far past the file',
      'FORMAT_TENSOR_OUT_OF_FILE',
      { tensors: [{ ...WEIGHT, shape: [1 << 20, 1 << 20] }] },
    ],
    ['an alignment of 0', 'FORMAT_HEADER_INVALID', { metadata: [['general.alignment', 'u32', 0]] }],
    ['an alignment of 24', 'FORMAT_HEADER_INVALID', { metadata: [['general.alignment', 'u32', 24]] }],
    ['an alignment of 2^31', 'FORMAT_HEADER_INVALID', { metadata: [['general.alignment', 'u32', 2 ** 31]] }],
    ['an alignment as u64', 'FORMAT_HEADER_INVALID', { metadata: [['general.alignment', 'u64', 32n]] }],
    [
      'an alignment as a list',
      'FORMAT_HEADER_INVALID',
      { metadata: [['general.alignment', 'array', { of: 'u32', items: [32] }]] },
    ],
  ])('%s', async (_, code, spec) => {
    const error = await errorOf(() => read(spec).header);
    expect(error).toMatchObject({ code, where: { file: 'm.gguf' } });
  });

  test('a file cut at any byte of its header', async () => {
    const whole = buildGguf({
      metadata: [[...ARCHITECTURE], ['tokens', 'array', { of: 'string', items: ['a', 'bc'] }], ['n', 'u32', 7]],
      tensors: [WEIGHT, BLOCKS],
    });
    const { dataStart } = await read(whole).header;
    for (let length = 0; length < dataStart; length++) {
      const error = await errorOf(() => read(whole.slice(0, length)).header);
      expect(error.code).toMatch(/^FORMAT_(FILE_CUT_SHORT|HEADER_OUT_OF_FILE|TENSOR_OUT_OF_FILE)$/);
    }
  });

  test('names the tensor and its type', async () => {
    const error = await errorOf(() => read({ tensors: [{ ...WEIGHT, name: 'blk.0.w', type: 31 }] }).header);
    expect(error.what).toContain('"blk.0.w"');
    expect(error.what).toContain('31');
    expect(error.where.tensor).toBe('blk.0.w');
  });

  test('a list whose texts turn out not to be UTF-8 when they are read', async () => {
    const items = ['a', new Uint8Array([0xff, 0xfe])];
    const { header, file, files } = read({ metadata: [['tokens', 'array', { of: 'string', items }]] });
    const { metadata } = await header;
    const error = await errorOf(() => readGgufArray(file, metadata.get('tokens')?.value as GgufArray, files));
    expect(error.code).toBe('FORMAT_HEADER_INVALID');
  });
});

/** A file whose first key claims so many bytes. */
function longText(length: bigint): Uint8Array {
  const bytes = buildGguf({ metadata: [['key', 'u8', 0]] });
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(24, length, true);
  return bytes;
}

function list(of: 'u64' | 'string' | 'array', count: bigint, items: unknown[] = []): GgufSpec {
  return { metadata: [['k', 'array', { of, items, count }]] };
}
