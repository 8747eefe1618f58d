import { describe, expect, test } from 'vitest';
import {
  buildSafetensorsHeader,
  sortForWriting,
  type TensorToWrite,
} from '../../../../../core/formats/safetensors/safetensors-writer.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const A: TensorToWrite = { name: 'a', dtype: 'BF16', shape: [2, 3] };
const B: TensorToWrite = { name: 'b', dtype: 'U8', shape: [] };

test('writes compact JSON, padded with spaces to a multiple of 8', () => {
  const { header, tensors, fileSizeBytes } = buildSafetensorsHeader([A, B], { format: 'pt' });
  const json =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"U8","shape":[],"data_offsets":[12,13]}}';
  expect(new TextDecoder().decode(header.subarray(8))).toBe(json.padEnd(Math.ceil(json.length / 8) * 8));
  expect(new DataView(header.buffer).getBigUint64(0, true)).toBe(BigInt(header.length - 8));
  expect(tensors).toEqual([
    { ...A, offsetBytes: header.length, sizeBytes: 12 },
    { ...B, offsetBytes: header.length + 12, sizeBytes: 1 },
  ]);
  expect(fileSizeBytes).toBe(header.length + 13);
});

test('a file of no tensors is a header alone', () => {
  expect(new TextDecoder().decode(buildSafetensorsHeader([], null).header.subarray(8))).toBe('{}      ');
});

test('stores wide dtypes first, then sorts by name as UTF-8', () => {
  const tensors = (
    ['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'I16', 'F16', 'BF16', 'I32', 'F32', 'F64', 'I64'] as const
  ).map((dtype) => ({ name: 'x', dtype }));
  expect(sortForWriting(tensors).map(({ dtype }) => dtype)).toEqual([
    'I64',
    'F64',
    'F32',
    'I32',
    'BF16',
    'F16',
    'I16',
    'F8_E4M3',
    'F8_E5M2',
    'I8',
    'U8',
    'BOOL',
  ]);
  const names = ['b', 'a.b', 'a', '\u{1f600}', '\uffff'].map((name) => ({ name, dtype: 'U8' as const }));
  expect(sortForWriting(names).map(({ name }) => name)).toEqual(['a', 'a.b', 'b', '\uffff', '\u{1f600}']);
});

describe('refuses', () => {
  test.each<[string, string, TensorToWrite[]]>([
    ['a shape that overflows', 'FORMAT_SHAPE_OVERFLOW', [{ ...A, shape: [2 ** 30, 2 ** 30] }]],
    ['elements that end inside a byte', 'FORMAT_SHAPE_OVERFLOW', [{ ...A, dtype: 'F4', shape: [3] }]],
    [
      'tensors above 2^53 bytes together',
      'FORMAT_SHAPE_OVERFLOW',
      [
        { ...B, shape: [2 ** 52] },
        { ...B, name: 'c', shape: [2 ** 52] },
      ],
    ],
    ['a name twice', 'FORMAT_DUPLICATE_KEY', [A, { ...B, name: 'a' }]],
    ['a tensor named like the metadata', 'FORMAT_DUPLICATE_KEY', [{ ...A, name: '__metadata__' }]],
  ])('%s', async (_, code, tensors) => {
    expect((await errorOf(() => buildSafetensorsHeader(tensors, null))).code).toBe(code);
  });
});
