import fc from 'fast-check';
import { DTYPE_BITS, type Dtype } from '../../core/formats/safetensors/dtypes.ts';
import type { TensorToWrite } from '../../core/formats/safetensors/safetensors-writer.ts';

/** Tensors with names of their own, of any dtype and small shapes. */
export const anyTensors: fc.Arbitrary<TensorToWrite[]> = fc.uniqueArray(
  fc.record({
    name: fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...(Object.keys(DTYPE_BITS) as Dtype[])),
    // The last dim makes packed elements fill whole bytes.
    shape: fc.array(fc.nat(4), { maxLength: 3 }).map((dims) => [...dims, 8]),
  }),
  { selector: ({ name }) => name, maxLength: 8 },
);
