import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FormatError } from '../../core/errors.ts';
import { parseSafetensorsHeader, readHeaderLength } from '../../core/formats/safetensors/safetensors-header.ts';
import { buildSafetensorsHeader, sortForWriting } from '../../core/formats/safetensors/safetensors-writer.ts';
import { anyTensors } from '../helpers/any-tensors.ts';
import { buildSafetensors } from '../helpers/build-safetensors.ts';

const FILE = 'model.safetensors';

test('a header that was built is read back the same', () => {
  fc.assert(
    fc.property(anyTensors, fc.option(fc.dictionary(fc.string(), fc.string())), (tensors, metadata) => {
      const layout = buildSafetensorsHeader(sortForWriting(tensors), metadata);
      const origin = { file: FILE, fileSizeBytes: layout.fileSizeBytes };
      expect(layout.header.length % 8).toBe(0);
      expect(readHeaderLength(layout.header, origin)).toBe(layout.header.length - 8);
      const header = parseSafetensorsHeader(layout.header.subarray(8), origin);
      expect(header.tensors).toEqual(layout.tensors);
      expect(Object.entries(header.metadata ?? {})).toEqual(Object.entries(metadata ?? {}));
    }),
    { numRuns: 500 },
  );
});

test('the same tensors in any order make the same file', () => {
  const shuffled = anyTensors.chain((tensors) =>
    fc.tuple(fc.constant(tensors), fc.shuffledSubarray(tensors, { minLength: tensors.length })),
  );
  fc.assert(
    fc.property(shuffled, ([tensors, others]) => {
      const headerOf = (list: typeof tensors) => buildSafetensorsHeader(sortForWriting(list), null).header;
      expect(headerOf(others)).toEqual(headerOf(tensors));
    }),
  );
});

test('bytes changed at random give a header or a FormatError, nothing else', () => {
  const base = buildSafetensors({
    tensors: [
      { name: 'a', dtype: 'BF16', shape: [2, 3] },
      { name: 'b', dtype: 'F32', shape: [4] },
    ],
    metadata: { format: 'pt' },
  });
  const change = fc.record({ at: fc.nat(base.length - 1), to: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(8), (changes, cutBytes) => {
      const file = base.slice(0, base.length - cutBytes);
      for (const { at, to } of changes) if (at < file.length) file[at] = to;
      expectHeaderOrFormatError(file);
    }),
    { numRuns: 2000 },
  );
});

test('random JSON gives a header or a FormatError, nothing else', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(64), (json, data) => {
      expectHeaderOrFormatError(buildSafetensors({ json, trailing: new Uint8Array(data) }));
    }),
    { numRuns: 500 },
  );
});

/** A header that is taken describes its file to the last byte. */
function expectHeaderOrFormatError(file: Uint8Array): void {
  try {
    const origin = { file: FILE, fileSizeBytes: file.length };
    const length = readHeaderLength(file.subarray(0, 8), origin);
    const { tensors, headerBytes } = parseSafetensorsHeader(file.subarray(8, 8 + length), origin);
    const stored = tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(headerBytes + stored).toBe(file.length);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}
