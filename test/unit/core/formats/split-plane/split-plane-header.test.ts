/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-return -- hostile JSON has no type */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../../../core/errors.ts';
import type { Plane } from '../../../../../core/kernels/kernels.ts';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
} from '../../../../../core/formats/split-plane/split-plane-header.ts';
import { buildSplitPlane, describeSplitPlane } from '../../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const FILE = 'model.safetensors.splane';

function parse(file: Uint8Array, fileSizeBytes = file.length) {
  const origin = { file: FILE, fileSizeBytes };
  const length = readSplitPlaneHeaderLength(file.subarray(0, 16), origin);
  return parseSplitPlaneHeader(file.subarray(16, 16 + length), origin);
}

/** The sound description, as JSON, after a change of its parts. */
function changed(change: (json: any) => void): Uint8Array {
  const json: unknown = JSON.parse(JSON.stringify({ format: 'split-plane', version: 1, ...describeSplitPlane() }));
  change(json);
  return buildSplitPlane(JSON.stringify(json));
}

test('a sound file gives its tensors and planes, whatever other keys there are', () => {
  const file = changed((json) => {
    json.later = { depth: [1.5] };
    json.tensors[0].later = true;
    json.tensors[0].planes[0].later = null;
  });
  const header = parse(file);
  expect(header).toEqual({ ...describeSplitPlane(), dataStart: file.length - 256 });
});

test('a source that is not cut into tensors is one tensor of dtype RAW', () => {
  const file = changed((json) => {
    json.tensors = [json.tensors[1]];
    Object.assign(json.tensors[0], { name: 'data', dtype: 'RAW', shape: [8], bytes: 8 });
    Object.assign(json.tensors[0].planes[0], { elements: 8, bytes: 8, offset: 128 });
  });
  expect(parse(file).tensors).toMatchObject([{ dtype: 'RAW', shape: [8] }]);
});

test('a plane may come in parts of 2^31 elements, in any order', () => {
  const elements = 2 ** 31 + 4;
  const file = changed((json) => {
    const [tensor] = json.tensors;
    const part: Plane = { ...tensor.planes[0], first: 2 ** 31, elements: 4, offset: 192 };
    Object.assign(tensor, { dtype: 'U8', shape: [elements], bytes: elements });
    tensor.planes = [part, { ...part, first: 0, elements: 2 ** 31, offset: 128 }].map((plane) => ({
      ...plane,
      kind: 'bytes',
    }));
    json.source.bytes = 100 + elements;
  });
  expect(parse(file).tensors[0]?.planes).toHaveLength(2);
});

const BOOKS: [title: string, codec: string, bytes: number, book: unknown][] = [
  ['rans12x32 whose frequencies are not 4096 together', 'rans12x32', 136, [[1, 4095]]],
  [
    'rans12x32 with a frequency of 0',
    'rans12x32',
    136,
    [
      [1, 4096],
      [2, 0],
    ],
  ],
  [
    'rans12x32 with descending symbols',
    'rans12x32',
    136,
    [
      [2, 2048],
      [1, 2048],
    ],
  ],
  [
    'rans12x32 with a repeated symbol',
    'rans12x32',
    136,
    [
      [1, 2048],
      [1, 2048],
    ],
  ],
  ['rans12x32 with a symbol above 255', 'rans12x32', 136, [[256, 4096]]],
  [
    'rans12x32 with a fraction',
    'rans12x32',
    136,
    [
      [1, 2048.5],
      [2, 2047.5],
    ],
  ],
  ['rans12x32 without entries', 'rans12x32', 136, []],
  ['rans12x32 that is missing', 'rans12x32', 136, undefined],
  [
    'huff12 with an incomplete code',
    'huff12',
    9,
    [
      [1, 1],
      [2, 2],
    ],
  ],
  [
    'huff12 with too many codes',
    'huff12',
    9,
    [
      [1, 1],
      [2, 1],
      [3, 1],
    ],
  ],
  ['huff12 with a length of 13', 'huff12', 9, [[1, 13]]],
  ['huff12 with one symbol of 2 bits', 'huff12', 9, [[1, 2]]],
  ['pal4 with 15 symbols', 'pal4', 12, Array(15).fill([1, 0])],
  ['pal4 with a second number that is not 0', 'pal4', 12, Array(16).fill([1, 1])],
  ['const, which has none', 'const', 1, [[1, 4096]]],
];

describe('a book', () => {
  test.each<[string, number, [number, number][]]>([
    [
      'rans12x32',
      136,
      [
        [3, 1],
        [120, 4095],
      ],
    ],
    [
      'huff12',
      9,
      [
        [3, 1],
        [7, 2],
        [9, 2],
      ],
    ],
    ['huff12', 9, [[3, 1]]],
    ['pal4', 12, Array<[number, number]>(16).fill([1, 0])],
  ])('of %s that a writer can make is taken', (codec, bytes, book) => {
    const plane = { codec, bytes, book, offset: 256 };
    const file = changed((json) => Object.assign(json.tensors[0].planes[0], plane));
    expect(parse(buildLonger(file)).tensors[0]?.planes[0]).toMatchObject(plane);
  });

  test.each(BOOKS)('of %s is refused', async (_, codec, bytes, book) => {
    const file = changed((json) => Object.assign(json.tensors[0].planes[0], { codec, bytes, book, offset: 256 }));
    const error = await errorOf(() => parse(buildLonger(file)));
    expect(error.code).toBe('FORMAT_CODED_DATA_MALFORMED');
    expect(error.where).toMatchObject({ file: FILE, tensor: 'a' });
  });
});

function buildLonger(file: Uint8Array): Uint8Array {
  const longer = new Uint8Array(file.length + 192);
  longer.set(file);
  return longer;
}

const REFUSED: [title: string, code: string, file: Uint8Array][] = [
  ['a file of 15 bytes', 'FORMAT_FILE_CUT_SHORT', buildSplitPlane('{}').subarray(0, 15)],
  ['another magic', 'FORMAT_HEADER_INVALID', buildSplitPlane('{}', 0, 'SPLPLANF')],
  ['a header that ends past the file', 'FORMAT_HEADER_OUT_OF_FILE', changed(() => undefined).subarray(0, 100)],
  ['data that begin off a multiple of 64', 'FORMAT_HEADER_INVALID', withLength(49n)],
  ['a header beyond the limit', 'FORMAT_HEADER_TOO_LARGE', withLength(2n ** 40n)],
  ['text that is not JSON', 'FORMAT_HEADER_NOT_JSON', buildSplitPlane('{"format":')],
  ['deep nesting', 'FORMAT_HEADER_TOO_DEEP', buildSplitPlane(`{"a":${'['.repeat(1000)}`)],
  ['a repeated key', 'FORMAT_DUPLICATE_KEY', buildSplitPlane('{"format":"split-plane","format":"split-plane"}')],
  ['another format', 'FORMAT_UNSUPPORTED_VERSION', changed((json) => (json.format = 'merge-plane'))],
  ['another version', 'FORMAT_UNSUPPORTED_VERSION', changed((json) => (json.version = 2))],
  ['an unknown codec', 'FORMAT_UNSUPPORTED_VERSION', changed((json) => (json.tensors[0].planes[0].codec = 'toString'))],
  ['an unknown kind', 'FORMAT_UNSUPPORTED_VERSION', changed((json) => (json.tensors[0].planes[0].kind = 'exp2'))],
  [
    'a dtype that is an object without text',
    'FORMAT_UNKNOWN_DTYPE',
    changed((json) => (json.tensors[0].dtype = { toString: 1, valueOf: 1 })),
  ],
  [
    'a version that is a list in lists',
    'FORMAT_UNSUPPORTED_VERSION',
    changed((json) => (json.version = [[[[[[1]]]]]])),
  ],
  [
    'a shape of 65 dims',
    'FORMAT_HEADER_TOO_LARGE',
    changed((json) => (json.tensors[0].shape = Array<number>(65).fill(1))),
  ],
  ['an unknown dtype', 'FORMAT_UNKNOWN_DTYPE', changed((json) => (json.tensors[0].dtype = 'BF17'))],
  ['a source without header', 'FORMAT_HEADER_INVALID', changed((json) => delete json.source.header)],
  [
    'a source header that no reader could hold',
    'FORMAT_HEADER_TOO_LARGE',
    changed((json) => (json.source.header.bytes = 2 ** 40)),
  ],
  ['a hash in capitals', 'FORMAT_HEADER_INVALID', changed((json) => (json.source.sha256 = 'A'.repeat(64)))],
  ['a short tensor hash', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors[0].sha256 = 'ab'))],
  [
    'a plane hash of 15 digits',
    'FORMAT_HEADER_INVALID',
    changed((json) => (json.tensors[0].planes[0].xxh3 = '0'.repeat(15))),
  ],
  ['tensors that are not a list', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors = {}))],
  ['a tensor without name', 'FORMAT_HEADER_INVALID', changed((json) => delete json.tensors[0].name)],
  ['planes that are not a list', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors[0].planes = {}))],
  ['a plane that is null', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors[0].planes[0] = null))],
  ['a tensor described twice', 'FORMAT_DUPLICATE_KEY', changed((json) => (json.tensors[1].name = 'a'))],
  ['RAW beside another tensor', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors[1].dtype = 'RAW'))],
  ['a negative offset', 'FORMAT_OFFSET_NOT_INTEGER', changed((json) => (json.tensors[0].planes[0].offset = -64))],
  ['a fractional count', 'FORMAT_OFFSET_NOT_INTEGER', changed((json) => (json.tensors[0].planes[0].elements = 3.5))],
  ['a size of 2^53', 'FORMAT_OFFSET_NOT_INTEGER', changed((json) => (json.source.bytes = 2 ** 53))],
  ['a count as text', 'FORMAT_OFFSET_NOT_INTEGER', changed((json) => (json.tensors[0].bytes = '8'))],
  ['a shape that overflows', 'FORMAT_SHAPE_OVERFLOW', changed((json) => (json.tensors[0].shape = [2 ** 40, 2 ** 40]))],
  ['a shape of another size', 'FORMAT_SHAPE_MISMATCH', changed((json) => (json.tensors[0].shape = [2, 3]))],
  ['a blob off a multiple of 64', 'FORMAT_HEADER_INVALID', changed((json) => (json.tensors[0].planes[0].offset = 130))],
  ['a blob past the file', 'FORMAT_TENSOR_OUT_OF_FILE', changed((json) => (json.tensors[0].planes[1].offset = 256))],
  [
    'a blob at the end of numbers',
    'FORMAT_TENSOR_OUT_OF_FILE',
    changed((json) => (json.tensors[0].planes[1].offset = 2 ** 53 - 64)),
  ],
  ['overlapping blobs', 'FORMAT_TENSOR_OVERLAP', changed((json) => (json.tensors[0].planes[1].offset = 128))],
  ['a blob over the header blob', 'FORMAT_TENSOR_OVERLAP', changed((json) => (json.tensors[0].planes[1].offset = 64))],
  ['a missing plane', 'FORMAT_SHAPE_MISMATCH', changed((json) => json.tensors[0].planes.pop())],
  [
    'a plane of another split',
    'FORMAT_SHAPE_MISMATCH',
    changed((json) => json.tensors[0].planes.push({ ...json.tensors[1].planes[0] })),
  ],
  [
    'a plane twice',
    'FORMAT_SHAPE_MISMATCH',
    changed((json) => json.tensors[0].planes.push({ ...json.tensors[0].planes[0] })),
  ],
  ['a plane that is too short', 'FORMAT_SHAPE_MISMATCH', changed((json) => (json.tensors[0].planes[0].elements = 3))],
  [
    'a raw plane of another length',
    'FORMAT_CODED_DATA_MALFORMED',
    changed((json) => (json.tensors[0].planes[1].bytes = 5)),
  ],
  [
    'a coded plane without room for its states',
    'FORMAT_CODED_DATA_MALFORMED',
    changed((json) => Object.assign(json.tensors[0].planes[0], { codec: 'rans12x32', bytes: 60, book: [[1, 4096]] })),
  ],
  ['tensors that do not add up to the source', 'FORMAT_SHAPE_MISMATCH', changed((json) => (json.source.bytes = 109))],
];

function withLength(length: bigint): Uint8Array {
  const file = changed(() => undefined).slice();
  new DataView(file.buffer).setBigUint64(8, length, true);
  return file;
}

test.each(REFUSED)('refuses %s', async (_, code, file) => {
  const error = await errorOf(() => parse(file));
  expect(error).toBeInstanceOf(FormatError);
  expect(error.code).toBe(code);
  expect(error.where.file).toBe(FILE);
});

test('bytes changed at random give a header or a FormatError, nothing else', () => {
  const base = changed(() => undefined);
  const digit = fc.constantFrom(...[...'0123456789-.e[]{},":'].map((character) => character.charCodeAt(0)));
  const change = fc.record({ at: fc.nat(base.length - 257), to: fc.oneof(digit, fc.nat(255)) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const file = base.slice();
      for (const { at, to } of changes) file[at] = to;
      try {
        const { source, tensors } = parse(file);
        expect(tensors.reduce((sum, { bytes }) => sum + bytes, source.header.bytes)).toBe(source.bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 2000 },
  );
});
