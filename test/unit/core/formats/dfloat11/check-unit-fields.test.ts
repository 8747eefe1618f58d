import { describe, expect, test } from 'vitest';
import { checkUnitFields, type UnitTensors } from '../../../../../core/formats/dfloat11/check-unit-fields.ts';
import type { ModelTensor } from '../../../../../core/model/open-model.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

function field(name: string, dtype: ModelTensor['dtype'], shape: number[]): ModelTensor {
  const sizeBytes = shape.reduce((product, dim) => product * dim, dtype === 'I64' ? 8 : 1);
  return { name: `m.${name}`, dtype, shape, file: 'm.safetensors', offsetBytes: 100, sizeBytes };
}

/** A unit of 20,000 elements in two blocks. */
const SOUND: UnitTensors = {
  luts: field('luts', 'U8', [4, 256]),
  encoded_exponent: field('encoded_exponent', 'U8', [4097]),
  sign_mantissa: field('sign_mantissa', 'U8', [20_000]),
  output_positions: field('output_positions', 'U8', [12]),
  gaps: field('gaps', 'U8', [640]),
  split_positions: field('split_positions', 'I64', [0]),
};

test('gives the fields of a sound unit', () => {
  expect(checkUnitFields('m', SOUND)).toBe(SOUND);
});

test.each<[string, Partial<UnitTensors>]>([
  ['one position less', { output_positions: field('output_positions', 'U8', [8]) }],
  ['longer gaps', { gaps: field('gaps', 'U8', [641]) }],
  ['2 rows', { luts: field('luts', 'U8', [2, 256]) }],
  ['18 rows', { luts: field('luts', 'U8', [18, 256]) }],
  ['one bit for each element', { sign_mantissa: field('sign_mantissa', 'U8', [8 * 4097]) }],
  ['a stream of whole blocks', { encoded_exponent: field('encoded_exponent', 'U8', [8192]) }],
])('takes %s', (_, change) => {
  expect(checkUnitFields('m', { ...SOUND, ...change })).toMatchObject(change);
});

describe('refuses', () => {
  test.each<[string, Partial<UnitTensors>]>([
    ['luts of 1 row', { luts: field('luts', 'U8', [1, 256]) }],
    ['luts of 19 rows', { luts: field('luts', 'U8', [19, 256]) }],
    ['luts of other width', { luts: field('luts', 'U8', [4, 255]) }],
    ['luts in one dim', { luts: field('luts', 'U8', [1024]) }],
    ['luts of another dtype', { luts: field('luts', 'I8', [4, 256]) }],
    ['an empty stream', { encoded_exponent: field('encoded_exponent', 'U8', [0]) }],
    ['no elements', { sign_mantissa: field('sign_mantissa', 'U8', [0]) }],
    ['more elements than bits', { sign_mantissa: field('sign_mantissa', 'U8', [8 * 4097 + 1]) }],
    ['two positions less', { output_positions: field('output_positions', 'U8', [4]) }],
    ['a position more', { output_positions: field('output_positions', 'U8', [16]) }],
    ['half a position', { output_positions: field('output_positions', 'U8', [10]) }],
    ['positions of 32 bits, as no version stores them', { output_positions: field('output_positions', 'U32', [3]) }],
    ['truncated gaps', { gaps: field('gaps', 'U8', [639]) }],
    ['gaps in two dims', { gaps: field('gaps', 'U8', [2, 320]) }],
    ['split positions of 32 bits', { split_positions: field('split_positions', 'I32', [0]) }],
    ['split positions in two dims', { split_positions: field('split_positions', 'I64', [0, 1]) }],
  ])('%s', async (_, change) => {
    const error = await errorOf(() => checkUnitFields('m', { ...SOUND, ...change }));
    expect(error).toMatchObject({ code: 'FORMAT_CODED_DATA_MALFORMED', where: { tensor: 'm', file: 'm.safetensors' } });
    expect(error.what).toContain(`"${Object.keys(change)[0]!.replace('sign_mantissa', 'encoded_exponent')}"`);
  });

  test('a unit that lacks a field, naming it', async () => {
    for (const name of Object.keys(SOUND)) {
      const { [name as keyof UnitTensors]: _, ...rest } = SOUND;
      const error = await errorOf(() => checkUnitFields('m', rest));
      expect(error.code).toBe('FORMAT_UNIT_INCOMPLETE');
      expect(error.what).toContain(`"${name}"`);
    }
  });
});
