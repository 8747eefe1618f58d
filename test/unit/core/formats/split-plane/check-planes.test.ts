import { describe, expect, test } from 'vitest';
import { checkPlanes, type BlobPlace } from '../../../../../core/formats/split-plane/check-planes.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const RAW = { kind: 'bytes', codec: 'raw', offset: 0, bytes: 8, elements: 8, first: 0, xxh3: '0'.repeat(16) };

function check(planes: unknown[], bytes = 8) {
  const place: BlobPlace = { file: 'x.splane', dataBytes: 1000, blobs: [] };
  return { planes: checkPlanes(planes, 'bytes', bytes, { file: 'x.splane', tensor: 'a' }, place), blobs: place.blobs };
}

test('gives the planes without unknown keys, and collects their blobs', () => {
  const { planes, blobs } = check([{ ...RAW, later: {} }]);
  expect(planes).toEqual([RAW]);
  expect(blobs).toEqual([{ offset: 0, bytes: 8, tensor: 'a' }]);
});

describe('refuses', () => {
  test.each([
    ['no plane', 'FORMAT_SHAPE_MISMATCH', []],
    ['a part that begins late', 'FORMAT_SHAPE_MISMATCH', [{ ...RAW, first: 1 }]],
    ['a part that is missing', 'FORMAT_SHAPE_MISMATCH', [{ ...RAW, bytes: 4, elements: 4 }]],
    ['parts that overlap', 'FORMAT_SHAPE_MISMATCH', [RAW, { ...RAW, first: 4 }]],
    ['an empty part among others', 'FORMAT_SHAPE_MISMATCH', [RAW, { ...RAW, bytes: 0, elements: 0, first: 8 }]],
    ['a kind that is an object without text', 'FORMAT_UNSUPPORTED_VERSION', [{ ...RAW, kind: { toString: 1 } }]],
    ['a codec that is an object without text', 'FORMAT_UNSUPPORTED_VERSION', [{ ...RAW, codec: { toString: null } }]],
    ['a codec that is a list', 'FORMAT_UNSUPPORTED_VERSION', [{ ...RAW, codec: ['raw'] }]],
    ['an elements count that is a text', 'FORMAT_OFFSET_NOT_INTEGER', [{ ...RAW, elements: '8' }]],
    ['a hash that is a number', 'FORMAT_HEADER_INVALID', [{ ...RAW, xxh3: 0 }]],
    ['a constant of two bytes', 'FORMAT_CODED_DATA_MALFORMED', [{ ...RAW, codec: 'const', bytes: 2 }]],
    ['a book of a codec without one', 'FORMAT_CODED_DATA_MALFORMED', [{ ...RAW, book: [[0, 4096]] }]],
  ])('%s', async (_, code, planes) => {
    const error = await errorOf(() => check(planes));
    expect(error).toMatchObject({ code, where: { file: 'x.splane', tensor: 'a' } });
  });

  test.each([
    ['rans12x32', 2 ** 31, [[0, 4096]]],
    ['huff12', 2 ** 31, [[0, 1]]],
    ['pal4', 2 ** 31, Array(16).fill([0, 0])],
  ])('a claim of 2^31 elements in a %s blob of a thousand bytes', async (codec, elements, book) => {
    const plane = { ...RAW, codec, bytes: 1000, elements, book };
    expect((await errorOf(() => check([plane], elements))).code).toBe('FORMAT_CODED_DATA_MALFORMED');
  });
});

test('an empty tensor has one empty plane', () => {
  expect(check([{ ...RAW, bytes: 0, elements: 0 }], 0).planes).toHaveLength(1);
});
