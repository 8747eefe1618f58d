import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Plane } from '../../../../../core/kernels/kernels.ts';
import { buildSafetensorsHeader } from '../../../../../core/formats/safetensors/safetensors-writer.ts';
import { PLANE_KINDS, planeSplitOf } from '../../../../../core/formats/split-plane/plane-splits.ts';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
  type SplitPlaneDescription,
} from '../../../../../core/formats/split-plane/split-plane-header.ts';
import {
  buildSplitPlaneHeader,
  inDataOrder,
  reserveHeaderBytes,
} from '../../../../../core/formats/split-plane/split-plane-writer.ts';
import { describeSplitPlane } from '../../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

test('what is built is read back the same, and fills what was reserved', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.string({ unit: 'grapheme' }), (minimumBytes, name) => {
      const description = describeSplitPlane();
      description.tensors = description.tensors.slice(0, 1).map((tensor) => ({ ...tensor, name }));
      const header = buildSplitPlaneHeader(description, { minimumBytes });
      expect(header.length % 64).toBe(0);
      expect(header.length).toBeGreaterThanOrEqual(minimumBytes);
      const origin = { file: 'x.splane', fileSizeBytes: header.length + 256 };
      expect(readSplitPlaneHeaderLength(header, origin)).toBe(header.length - 16);
      expect(parseSplitPlaneHeader(header.subarray(16), origin)).toEqual({ ...description, dataStart: header.length });
    }),
  );
});

test('keys stand in one order, whatever the order of the objects given', () => {
  const description = describeSplitPlane();
  const shuffled = {
    tensors: description.tensors.map(({ planes, sha256, ...rest }) => ({ sha256, planes, ...rest })),
    source: description.source,
  };
  const options = { minimumBytes: 0 };
  expect(buildSplitPlaneHeader(shuffled, options)).toEqual(buildSplitPlaneHeader(description, options));
});

test('refuses a header beyond the limit', async () => {
  const call = () => buildSplitPlaneHeader(describeSplitPlane(), { minimumBytes: 100 * 1024 * 1024 + 17 });
  expect((await errorOf(call)).code).toBe('FORMAT_HEADER_TOO_LARGE');
});

describe('the reserve', () => {
  /** What the writer makes of a source whose exponents take 44 symbols, all numbers as wide as they get. */
  function describeTypical(layers: number): { description: SplitPlaneDescription; reserved: number } {
    const specs = Array.from({ length: layers }, (_, index) => [
      { name: `model.layers.${index}.mlp.up_proj.weight`, dtype: 'BF16' as const, shape: [11008, 4096] },
      { name: `model.layers.${index}.input_layernorm.weight`, dtype: 'F32' as const, shape: [4096] },
    ]).flat();
    const { tensors, header, fileSizeBytes } = buildSafetensorsHeader(specs, null);
    const book = Array.from({ length: 44 }, (_, index): [number, number] => [index + 90, index < 34 ? 99 : 73]);
    const planesOf = (kinds: readonly Plane['kind'][], elements: number): Plane[] =>
      kinds.map((kind) => {
        const plane: Plane = {
          kind,
          codec: 'raw',
          offset: fileSizeBytes,
          bytes: elements,
          elements,
          first: 0,
          xxh3: 'f'.repeat(16),
        };
        return kind === 'exp' ? { ...plane, codec: 'rans12x32', book } : plane;
      });
    const sha256 = 'f'.repeat(64);
    const description: SplitPlaneDescription = {
      source: { bytes: fileSizeBytes, sha256, header: { offset: 0, bytes: header.length } },
      tensors: tensors.map(({ name, dtype, shape, sizeBytes }) => {
        const kinds = PLANE_KINDS[planeSplitOf(dtype)];
        return { name, dtype, shape, bytes: sizeBytes, sha256, planes: planesOf(kinds, sizeBytes / kinds.length) };
      }),
    };
    return { description, reserved: reserveHeaderBytes({ tensors, headerBytes: header.length, fileSizeBytes }) };
  }

  test.each([1, 32, 200])('of %i layers holds the header of a real model, with little to spare', (layers) => {
    const { description, reserved } = describeTypical(layers);
    const header = buildSplitPlaneHeader(description, { minimumBytes: reserved });
    const tight = buildSplitPlaneHeader(description, { minimumBytes: 0 });
    expect(reserved % 64).toBe(0);
    expect(header.length).toBe(reserved);
    expect(reserved).toBeLessThan(tight.length * 1.1 + 64);
  });

  test('is longer than an empty header', () => {
    const reserved = reserveHeaderBytes({ tensors: [], headerBytes: 10, fileSizeBytes: 10 });
    const source = { bytes: 10, sha256: '0'.repeat(64), header: { offset: 0, bytes: 10 } };
    expect(buildSplitPlaneHeader({ source, tensors: [] }, { minimumBytes: reserved }).length).toBe(reserved);
  });
});

test('data order is by offset; empty tensors keep their place among equals', () => {
  const tensors = [
    { name: 'c', offsetBytes: 8 },
    { name: 'b', offsetBytes: 0 },
    { name: 'a', offsetBytes: 8 },
  ];
  expect(inDataOrder(tensors).map(({ name }) => name)).toEqual(['b', 'c', 'a']);
});
