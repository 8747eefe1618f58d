import { expect, test } from 'vitest';
import {
  isIndexField,
  isUnitMark,
  splitFieldName,
  UNIT_FIELDS,
} from '../../../../../core/formats/dfloat11/unit-fields.ts';

test('a stored name may be the field of a module', () => {
  expect(splitFieldName('model.layers.0.luts')).toEqual({ module: 'model.layers.0', field: 'luts' });
  expect(splitFieldName('lm_head.sign_mantissa')).toEqual({ module: 'lm_head', field: 'sign_mantissa' });
});

test.each(['luts', '.luts', 'a.luts2', 'a.lut', 'a.luts.weight', '', 'a.toString'])('"%s" is no field', (name) => {
  expect(splitFieldName(name)).toBeNull();
});

test('the large fields alone make a unit', () => {
  expect(UNIT_FIELDS.filter(isUnitMark)).toEqual(['encoded_exponent', 'sign_mantissa']);
});

test('fields beside the one that counts the weights are told from tensors', () => {
  const names = new Set(['a.sign_mantissa', 'a.luts', 'b.luts']);
  expect(isIndexField('a.luts', names)).toBe(true);
  expect(isIndexField('a.sign_mantissa', names)).toBe(false);
  expect(isIndexField('b.luts', names)).toBe(false);
  expect(isIndexField('a.weight', names)).toBe(false);
});
