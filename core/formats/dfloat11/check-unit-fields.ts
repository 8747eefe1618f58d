import { FormatError, type ErrorCode } from '../../errors.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { UNIT_FIELDS, type UnitField } from './unit-fields.ts';
import { GAP_BYTES_PER_BLOCK } from './unit-file.ts';

export type UnitTensors = Record<UnitField, ModelTensor>;

/** Stream bytes that one thread block of the official kernel decodes. */
const BLOCK_BYTES = 4096;
const LUT_ROW_BYTES = 256;
/** A decoding row and the row of lengths; 17 decoding rows can be pointed at. */
const MIN_LUT_ROWS = 2;
const MAX_LUT_ROWS = 18;

/**
 * Checks the six stored fields of a unit against each other, by their headers alone.
 *
 * Source: DFloat11 0.5.0; `gaps` may be longer than needed, `output_positions` may lack the last entry (both occur).
 * @throws FormatError FORMAT_UNIT_INCOMPLETE, FORMAT_CODED_DATA_MALFORMED
 */
export function checkUnitFields(module: string, fields: Partial<UnitTensors>): UnitTensors {
  const missing = UNIT_FIELDS.find((field) => !fields[field]);
  if (missing || !isComplete(fields)) {
    throw refuse('FORMAT_UNIT_INCOMPLETE', module, undefined, `has no field "${missing ?? ''}".`);
  }
  for (const field of UNIT_FIELDS) {
    const { dtype, shape, file } = fields[field];
    const expected = field === 'split_positions' ? 'I64' : 'U8';
    const rank = field === 'luts' ? 2 : 1;
    if (dtype !== expected || shape.length !== rank) {
      const found = `is ${dtype} [${shape.join(', ')}], expected ${expected} with ${rank} dims.`;
      throw refuse('FORMAT_CODED_DATA_MALFORMED', module, file, `field "${field}" ${found}`);
    }
  }
  checkSizes(module, fields);
  return fields;
}

function isComplete(fields: Partial<UnitTensors>): fields is UnitTensors {
  return UNIT_FIELDS.every((field) => fields[field] !== undefined);
}

function checkSizes(module: string, fields: UnitTensors): void {
  const malformed = (field: UnitField, found: string) =>
    refuse('FORMAT_CODED_DATA_MALFORMED', module, fields[field].file, `field "${field}" ${found}`);
  const [rows = 0, columns] = fields.luts.shape;
  if (columns !== LUT_ROW_BYTES || rows < MIN_LUT_ROWS || rows > MAX_LUT_ROWS) {
    const expected = `[${MIN_LUT_ROWS} to ${MAX_LUT_ROWS}, ${LUT_ROW_BYTES}]`;
    throw malformed('luts', `has shape [${fields.luts.shape.join(', ')}], expected ${expected}.`);
  }
  const elements = fields.sign_mantissa.sizeBytes;
  const streamBytes = fields.encoded_exponent.sizeBytes;
  if (elements === 0 || streamBytes === 0) throw malformed('encoded_exponent', 'or "sign_mantissa" is empty.');
  if (elements > 8 * streamBytes) {
    throw malformed(
      'encoded_exponent',
      `has ${8 * streamBytes} bits, fewer than the ${elements} elements of the unit.`,
    );
  }
  const blocks = Math.ceil(streamBytes / BLOCK_BYTES);
  const positionBytes = fields.output_positions.sizeBytes;
  if (positionBytes !== 4 * blocks && positionBytes !== 4 * (blocks + 1)) {
    throw malformed(
      'output_positions',
      `has ${positionBytes} bytes, expected ${4 * (blocks + 1)} for ${blocks} blocks.`,
    );
  }
  if (fields.gaps.sizeBytes < GAP_BYTES_PER_BLOCK * blocks) {
    const expected = `${GAP_BYTES_PER_BLOCK * blocks} or more for ${blocks} blocks`;
    throw malformed('gaps', `has ${fields.gaps.sizeBytes} bytes, expected ${expected}.`);
  }
}

function refuse(code: ErrorCode, module: string, file: string | undefined, found: string): FormatError {
  return new FormatError({
    code,
    what: `DFloat11 unit ${quoted(module)}: ${found}`,
    where: { file, tensor: module },
    whatToDo: 'Download this folder again.',
  });
}
