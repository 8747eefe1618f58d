/** The six stored fields of a DFloat11 unit: tensors named `<module>.<field>`. `sign_mantissa` has one byte an element. */
export const UNIT_FIELDS = [
  'luts',
  'encoded_exponent',
  'sign_mantissa',
  'output_positions',
  'gaps',
  'split_positions',
] as const;

export type UnitField = (typeof UNIT_FIELDS)[number];

/** The parts of a stored name that may be a unit's field; null for any other name. */
export function splitFieldName(name: string): { module: string; field: UnitField } | null {
  const dot = name.lastIndexOf('.');
  const field = UNIT_FIELDS.find((candidate) => candidate === name.slice(dot + 1));
  return dot > 0 && field ? { module: name.slice(0, dot), field } : null;
}

/** Whether a stored field makes its module a unit, whatever else is stored; the other fields have names that a model may use. */
export function isUnitMark(field: UnitField): boolean {
  return field === 'encoded_exponent' || field === 'sign_mantissa';
}

/** Whether a tensor is a field of a unit other than the one whose elements are the unit's weights. */
export function isIndexField(name: string, names: ReadonlySet<string>): boolean {
  const parts = splitFieldName(name);
  return parts !== null && parts.field !== 'sign_mantissa' && names.has(`${parts.module}.sign_mantissa`);
}
