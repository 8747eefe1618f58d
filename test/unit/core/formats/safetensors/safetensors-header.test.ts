import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../../../core/errors.ts';
import {
  parseSafetensorsHeader,
  readHeaderLength,
} from '../../../../../core/formats/safetensors/safetensors-header.ts';
import { buildSafetensors, type SafetensorsSpec, type TensorSpec } from '../../../../helpers/build-safetensors.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const FILE = 'model.safetensors';

function parse(file: Uint8Array, fileSizeBytes = file.length) {
  const length = readHeaderLength(file.subarray(0, 8), { file: FILE, fileSizeBytes });
  return parseSafetensorsHeader(file.subarray(8, 8 + length), { file: FILE, fileSizeBytes });
}

const A: TensorSpec = { name: 'a', dtype: 'BF16', shape: [2, 3] };
const B: TensorSpec = { name: 'b', dtype: 'F32', shape: [4] };

describe('a sound header', () => {
  test('gives the tensors in header order with places in the file', () => {
    const file = buildSafetensors({ tensors: [B, A], metadata: { format: 'pt' } });
    const header = parse(file);
    const start = header.headerBytes;
    expect(header.metadata).toEqual({ format: 'pt' });
    expect(header.tensors).toEqual([
      { ...B, offsetBytes: start, sizeBytes: 16 },
      { ...A, offsetBytes: start + 16, sizeBytes: 12 },
    ]);
    expect(start).toBe(8 + Number(new DataView(file.buffer).getBigUint64(0, true)));
  });

  test('keeps header order for names that look like numbers', () => {
    const names = parse(
      buildSafetensors({
        json: '{"10":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"2":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      }),
    );
    expect(names.tensors.map(({ name }) => name)).toEqual(['10', '2']);
  });

  test('may hold a scalar, an empty tensor, packed dtypes and no tensor at all', () => {
    const tensors: TensorSpec[] = [
      { name: 'scalar', dtype: 'F64', shape: [] },
      { name: 'empty', dtype: 'BF16', shape: [0, 7] },
      { name: 'fp4', dtype: 'F4', shape: [3, 2] },
      { name: 'fp6', dtype: 'F6_E2M3', shape: [4] },
    ];
    expect(parse(buildSafetensors({ tensors })).tensors.map(({ sizeBytes }) => sizeBytes)).toEqual([8, 0, 3, 3]);
    expect(parse(buildSafetensors({})).tensors).toEqual([]);
  });

  test('may describe more than 2^31 elements', () => {
    const json = '{"x":{"dtype":"U8","shape":[65536,65536],"data_offsets":[0,4294967296]}}';
    const file = buildSafetensors({ json });
    expect(parse(file, file.length + 2 ** 32).tensors[0]?.sizeBytes).toBe(2 ** 32);
  });

  test('may carry tensors named like parts of an object', () => {
    const file = buildSafetensors({
      json: '{"__proto__":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
      trailing: new Uint8Array(1),
    });
    expect(parse(file).tensors[0]?.name).toBe('__proto__');
  });
});

const U8_ENTRY = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
const ONE_BYTE = new Uint8Array(1);

const REFUSED: [title: string, code: string, spec: SafetensorsSpec][] = [
  ['a length beyond the limit', 'FORMAT_HEADER_TOO_LARGE', { tensors: [A], headerLength: 2n ** 63n }],
  ['a header that ends past the file', 'FORMAT_HEADER_OUT_OF_FILE', { tensors: [A], headerLength: 5000n }],
  ['a file of 7 bytes', 'FORMAT_FILE_CUT_SHORT', { json: '', cutBytes: 1 }],
  ['an empty header', 'FORMAT_HEADER_NOT_JSON', { json: '' }],
  ['a header that begins with a space', 'FORMAT_HEADER_NOT_JSON', { json: ' {}' }],
  ['a byte order mark', 'FORMAT_HEADER_NOT_JSON', { json: '\ufeff{}' }],
  ['a header that is not JSON', 'FORMAT_HEADER_NOT_JSON', { json: '{"a":' }],
  ['text after the JSON', 'FORMAT_HEADER_NOT_JSON', { json: '{}x' }],
  ['bytes that are not UTF-8', 'FORMAT_HEADER_NOT_JSON', { json: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d) }],
  ['deep nesting', 'FORMAT_HEADER_TOO_DEEP', { json: `{"a":${'['.repeat(100_000)}` }],
  ['65 dimensions', 'FORMAT_HEADER_TOO_LARGE', { tensors: [{ ...A, shape: Array<number>(65).fill(1) }] }],
  ['a repeated tensor', 'FORMAT_DUPLICATE_KEY', { json: `{"a":${U8_ENTRY},"a":${U8_ENTRY}}`, trailing: ONE_BYTE }],
  [
    'a repeated tensor with an escape',
    'FORMAT_DUPLICATE_KEY',
    { json: `{"a":${U8_ENTRY},"\\u0061":${U8_ENTRY}}`, trailing: ONE_BYTE },
  ],
  [
    'a repeated key of an entry',
    'FORMAT_DUPLICATE_KEY',
    { json: `{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, trailing: ONE_BYTE },
  ],
  ['half of a character in a name', 'FORMAT_HEADER_INVALID', { json: `{"\\ud800":${U8_ENTRY}}`, trailing: ONE_BYTE }],
  ['metadata that is not text', 'FORMAT_HEADER_INVALID', { tensors: [A], metadata: { epoch: 3 } }],
  ['metadata that is a list', 'FORMAT_HEADER_INVALID', { json: '{"__metadata__":[]}' }],
  ['an entry that is not an object', 'FORMAT_HEADER_INVALID', { json: '{"a":null}' }],
  ['an unknown key of an entry', 'FORMAT_HEADER_INVALID', { tensors: [A], entries: { a: { strides: [1] } } }],
  ['an entry without dtype', 'FORMAT_HEADER_INVALID', { tensors: [A], entries: { a: { dtype: undefined } } }],
  ['an unknown dtype', 'FORMAT_UNKNOWN_DTYPE', { tensors: [A], entries: { a: { dtype: 'F16X' } } }],
  [
    'a dtype named like a method of objects',
    'FORMAT_UNKNOWN_DTYPE',
    { tensors: [A], entries: { a: { dtype: 'toString' } } },
  ],
  ['a shape that is a text', 'FORMAT_HEADER_INVALID', { tensors: [A], entries: { a: { shape: '23' } } }],
  ['three offsets', 'FORMAT_HEADER_INVALID', { tensors: [A], entries: { a: { data_offsets: [0, 12, 12] } } }],
  ['a negative dim', 'FORMAT_OFFSET_NOT_INTEGER', { tensors: [A], entries: { a: { shape: [-2, -3] } } }],
  ['a fractional offset', 'FORMAT_OFFSET_NOT_INTEGER', { tensors: [A], entries: { a: { data_offsets: [0, 12.5] } } }],
  ['a negative offset', 'FORMAT_OFFSET_NOT_INTEGER', { tensors: [A], entries: { a: { data_offsets: [-1, 11] } } }],
  [
    'an offset that JSON would round',
    'FORMAT_OFFSET_NOT_INTEGER',
    { json: '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9007199254740993]}}' },
  ],
  [
    'an offset written with a point',
    'FORMAT_OFFSET_NOT_INTEGER',
    { json: '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}}', trailing: ONE_BYTE },
  ],
  ['reversed offsets', 'FORMAT_OFFSETS_REVERSED', { tensors: [A], entries: { a: { data_offsets: [12, 0] } } }],
  ['a last tensor that ends past the file', 'FORMAT_TENSOR_OUT_OF_FILE', { tensors: [A, B], cutBytes: 1 }],
  ['overlapping tensors', 'FORMAT_TENSOR_OVERLAP', { tensors: [A, B], entries: { b: { data_offsets: [10, 26] } } }],
  [
    'a tensor inside another',
    'FORMAT_TENSOR_OVERLAP',
    { tensors: [B, { ...A, shape: [0] }], entries: { a: { data_offsets: [4, 4] } } },
  ],
  [
    'a hole between tensors',
    'FORMAT_TENSOR_GAP',
    { tensors: [A, B], entries: { b: { data_offsets: [13, 29] } }, trailing: ONE_BYTE },
  ],
  ['bytes after the last tensor', 'FORMAT_TRAILING_BYTES', { tensors: [A], trailing: ONE_BYTE }],
  ['a shape that does not fit the bytes', 'FORMAT_SHAPE_MISMATCH', { tensors: [A], entries: { a: { shape: [2, 4] } } }],
  [
    'packed elements that end inside a byte',
    'FORMAT_SHAPE_MISMATCH',
    { tensors: [A], entries: { a: { dtype: 'F4', shape: [23] } } },
  ],
  [
    'a shape whose product overflows',
    'FORMAT_SHAPE_OVERFLOW',
    { tensors: [A], entries: { a: { shape: [2 ** 40, 2 ** 40] } } },
  ],
  [
    'an empty shape whose product overflows',
    'FORMAT_SHAPE_OVERFLOW',
    { tensors: [A], entries: { a: { shape: [0, 2 ** 40, 2 ** 40] } } },
  ],
  ['a dim above 2^53', 'FORMAT_SHAPE_OVERFLOW', { tensors: [A], entries: { a: { shape: [2 ** 60] } } }],
];

describe('refuses', () => {
  test.each(REFUSED)('%s', async (_, code, spec) => {
    const file = buildSafetensors(spec);
    const error = await errorOf(() => parse(file));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.code).toBe(code);
    expect(error.where.file).toBe(FILE);
  });

  test('more members than any model has, before it builds them', async () => {
    const json = `{${Array.from({ length: 1_050_000 }, (_, index) => `"${index}":0`).join(',')}}`;
    expect((await errorOf(() => parse(buildSafetensors({ json })))).code).toBe('FORMAT_HEADER_TOO_LARGE');
  });

  test('with the tensor and the byte at which it was met', async () => {
    const file = buildSafetensors({ tensors: [A, B], cutBytes: 1 });
    const error = await errorOf(() => parse(file));
    expect(error.where).toEqual({ file: FILE, tensor: 'b', byteOffset: file.length + 1 });
    expect(error.what).toContain('tensor "b" ends at byte');
  });

  test('with the true byte where the header holds characters of several bytes', async () => {
    const json = `{"größe":${U8_ENTRY},"größe":${U8_ENTRY}}`;
    const error = await errorOf(() => parse(buildSafetensors({ json, trailing: ONE_BYTE })));
    const second = new TextEncoder().encode(json.slice(0, json.lastIndexOf('"größe"'))).length;
    expect(error.where).toEqual({ file: FILE, tensor: 'größe', byteOffset: 8 + second });
  });

  test('without letting a name move the cursor of a terminal', async () => {
    const spec = { tensors: [{ ...A, name: '\u001b[2J\u009b2J' }], trailing: ONE_BYTE, entries: {} };
    const error = await errorOf(() =>
      parse(buildSafetensors({ ...spec, entries: { '\u001b[2J\u009b2J': { shape: [1] } } })),
    );
    // eslint-disable-next-line no-control-regex -- control characters are what this looks for
    expect(error.what).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});

test('reads 5,000 tensors over 100 headers in well under a second', () => {
  const tensors = Array.from({ length: 50 }, (_, index): TensorSpec => {
    return { name: `model.layers.${index}.self_attn.q_proj.weight`, dtype: 'BF16', shape: [2, 2] };
  });
  const file = buildSafetensors({ tensors });
  const started = performance.now();
  for (let i = 0; i < 100; i++) parse(file);
  // About 30 ms on a quiet machine; the bound is for busy ones.
  expect(performance.now() - started).toBeLessThan(1000);
});
