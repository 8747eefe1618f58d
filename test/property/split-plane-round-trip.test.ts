import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FormatError } from '../../core/errors.ts';
import { buildSafetensorsHeader } from '../../core/formats/safetensors/safetensors-writer.ts';
import { PLANE_KINDS, planeSplitOf } from '../../core/formats/split-plane/plane-splits.ts';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
  type SplitPlaneDescription,
} from '../../core/formats/split-plane/split-plane-header.ts';
import {
  buildSplitPlaneHeader,
  inDataOrder,
  reserveHeaderBytes,
} from '../../core/formats/split-plane/split-plane-writer.ts';
import type { Plane, PlaneKind } from '../../core/kernels/kernels.ts';
import { anyTensors } from '../helpers/any-tensors.ts';

const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });

type Stored = Pick<Plane, 'codec' | 'bytes' | 'book'>;

/** A way to store a plane of so many elements: raw, constant, or in a coder's form that is as long as raw. */
function storedForms(elements: number): Stored[] {
  if (elements === 0) return [{ codec: 'raw', bytes: 0 }];
  const palette = Array.from({ length: 16 }, (_, index): [number, number] => [index % 7, 0]);
  return [
    { codec: 'raw', bytes: elements },
    { codec: 'const', bytes: 1 },
    {
      codec: 'rans12x32',
      bytes: 4 + 132 * Math.ceil(elements / 65_536),
      book: [
        [3, 1],
        [200, 4095],
      ],
    },
    {
      codec: 'huff12',
      bytes: 2 * Math.ceil(elements / 128),
      book: [
        [0, 1],
        [1, 2],
        [255, 2],
      ],
    },
    { codec: 'pal4', bytes: 4 + 4 * Math.ceil(elements / 65_536) + Math.ceil(elements / 2), book: palette },
  ];
}

/** A description of a source with these tensors; blobs follow one another at multiples of 64. */
const descriptions: fc.Arbitrary<{ description: SplitPlaneDescription; dataBytes: number; reserved: number }> = fc
  .tuple(anyTensors, fc.infiniteStream(fc.nat(4)), hex(64), hex(16))
  .map(([specs, choices, sha256, xxh3]) => {
    const { tensors, header, fileSizeBytes } = buildSafetensorsHeader(specs, null);
    let end = Math.ceil(header.length / 64) * 64;
    const planeOf = (kind: PlaneKind, elements: number): Plane => {
      const forms = storedForms(elements);
      const form = forms[choices.next().value % forms.length]!;
      const plane = { kind, offset: end, elements, first: 0, xxh3, ...form };
      end += Math.ceil(plane.bytes / 64) * 64;
      return plane;
    };
    const description: SplitPlaneDescription = {
      source: { bytes: fileSizeBytes, sha256, header: { offset: 0, bytes: header.length } },
      tensors: inDataOrder(tensors).map(({ name, dtype, shape, sizeBytes }) => {
        const kinds = PLANE_KINDS[planeSplitOf(dtype)];
        const planes = kinds.map((kind) => planeOf(kind, sizeBytes / kinds.length));
        return { name, dtype, shape, bytes: sizeBytes, sha256, planes };
      }),
    };
    const reserved = reserveHeaderBytes({ tensors, headerBytes: header.length, fileSizeBytes });
    return { description, dataBytes: end, reserved };
  });

test('a header that was built is read back the same', () => {
  fc.assert(
    fc.property(descriptions, fc.nat(3), ({ description, dataBytes, reserved }, quarters) => {
      const header = buildSplitPlaneHeader(description, { minimumBytes: (reserved * quarters) >> 1 });
      const origin = { file: 'x.splane', fileSizeBytes: header.length + dataBytes };
      expect(header.length % 64).toBe(0);
      expect(readSplitPlaneHeaderLength(header.subarray(0, 16), origin)).toBe(header.length - 16);
      const parsed = parseSplitPlaneHeader(header.subarray(16), origin);
      expect(parsed).toEqual({ ...description, dataStart: header.length });
    }),
    { numRuns: 500 },
  );
});

test('a header of which one byte is changed is the same, another sound one, or refused', () => {
  fc.assert(
    fc.property(descriptions, fc.nat(), fc.nat(255), ({ description, dataBytes }, at, to) => {
      const header = buildSplitPlaneHeader(description, { minimumBytes: 0 });
      header[at % header.length] = to;
      const origin = { file: 'x.splane', fileSizeBytes: header.length + dataBytes };
      try {
        const length = readSplitPlaneHeaderLength(header.subarray(0, 16), origin);
        const { source, tensors } = parseSplitPlaneHeader(header.subarray(16, 16 + length), origin);
        expect(tensors.reduce((sum, { bytes }) => sum + bytes, source.header.bytes)).toBe(source.bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 2000 },
  );
});
