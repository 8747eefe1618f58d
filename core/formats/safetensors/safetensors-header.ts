import { FormatError, type ErrorCode } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import { parseStrictJson } from '../strict-json.ts';
import { isDtype, type Dtype } from './dtypes.ts';
import { tensorSizeBytes } from './tensor-size.ts';

/** The reference implementation's limit; the largest published headers have about 12 MB. */
export const MAX_HEADER_JSON_BYTES = 100 * 1024 * 1024;
/** A header holds an object of objects of lists: 3 levels. */
const MAX_DEPTH = 8;
/** The largest published models have about 200,000 tensors in all their files together. */
const MAX_TENSORS = 1 << 20;
/** PyTorch and NumPy stop at 64 dimensions; real tensors have up to 6. */
const MAX_DIMENSIONS = 64;

export interface SafetensorsTensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** From the beginning of the file. */
  offsetBytes: number;
  sizeBytes: number;
}

export interface SafetensorsHeader {
  /** In the order of the header's text. */
  tensors: SafetensorsTensor[];
  metadata: Record<string, string> | null;
  /** 8 + the JSON's length: where the data begin. */
  headerBytes: number;
}

/** The file that a header belongs to. */
export interface HeaderOrigin {
  file: string;
  fileSizeBytes: number;
}

/**
 * The length in bytes of the JSON that follows the first 8 bytes of a safetensors file.
 *
 * Source: the safetensors format, "Format": 8 bytes, little-endian u64, then that many bytes of JSON.
 * @param first8 the file's first bytes, 8 of them unless the file is shorter
 * @throws FormatError FORMAT_FILE_CUT_SHORT, FORMAT_HEADER_TOO_LARGE, FORMAT_HEADER_OUT_OF_FILE; all before anybody
 * allocates that length
 */
export function readHeaderLength(first8: Uint8Array, origin: HeaderOrigin): number {
  const { file, fileSizeBytes } = origin;
  if (first8.length < 8 || fileSizeBytes < 8) {
    throw new FormatError({
      code: 'FORMAT_FILE_CUT_SHORT',
      what: `${quoted(file)} has ${Math.min(first8.length, fileSizeBytes)} bytes, but a safetensors file has at least 8.`,
      where: { file, byteOffset: 0 },
      whatToDo: 'Download this file again.',
    });
  }
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_JSON_BYTES)) {
    throw new FormatError({
      code: 'FORMAT_HEADER_TOO_LARGE',
      what: `${quoted(file)}: the header claims ${length} bytes, but at most ${MAX_HEADER_JSON_BYTES} are allowed.`,
      where: { file, byteOffset: 0 },
      whatToDo: 'Check that this is a safetensors file: its first 8 bytes do not look like one.',
    });
  }
  if (8n + length > BigInt(fileSizeBytes)) {
    throw new FormatError({
      code: 'FORMAT_HEADER_OUT_OF_FILE',
      what: `${quoted(file)}: the header ends at byte ${8n + length}, but the file has ${fileSizeBytes} bytes.`,
      where: { file, byteOffset: 0 },
      whatToDo: 'The file is cut short: download it again.',
    });
  }
  return Number(length);
}

/**
 * Reads a safetensors header strictly: what comes back can be trusted, and its tensors tile the data without gap or overlap.
 *
 * Source: the safetensors format, "Format" and the reference implementation's `Metadata::validate`. Stricter than it in
 * that repeated keys, unknown keys of an entry and numbers such as `1.0` are refused. Departs from it: F4 and F6 are taken.
 * @param json the header's bytes, after the first 8; not kept
 * @throws FormatError FORMAT_HEADER_NOT_JSON, FORMAT_HEADER_TOO_DEEP, FORMAT_HEADER_TOO_LARGE, FORMAT_HEADER_INVALID,
 * FORMAT_DUPLICATE_KEY, FORMAT_UNKNOWN_DTYPE, FORMAT_OFFSET_NOT_INTEGER, FORMAT_OFFSETS_REVERSED,
 * FORMAT_TENSOR_OUT_OF_FILE, FORMAT_SHAPE_OVERFLOW, FORMAT_SHAPE_MISMATCH, FORMAT_TENSOR_GAP, FORMAT_TENSOR_OVERLAP,
 * FORMAT_TRAILING_BYTES
 * Cost: linear in the header; about 2 ms for 1,000 tensors.
 */
export function parseSafetensorsHeader(json: Uint8Array, origin: HeaderOrigin): SafetensorsHeader {
  const { file } = origin;
  const { value, keys } = parseStrictJson(json, {
    file,
    offsetBytes: 8,
    limits: {
      maxDepth: MAX_DEPTH,
      maxObjectMembers: MAX_TENSORS,
      maxArrayItems: MAX_DIMENSIONS,
      wholeNumbersOnly: true,
    },
    syntaxCode: 'FORMAT_HEADER_NOT_JSON',
    rootKeysAreTensors: true,
  });
  const headerBytes = 8 + json.length;
  let metadata: Record<string, string> | null = null;
  const tensors: SafetensorsTensor[] = [];
  for (const key of keys) {
    if (key === '__metadata__') metadata = checkMetadata(value[key], file);
    else tensors.push(checkEntry(key, value[key], headerBytes, origin));
  }
  checkTiling(tensors, headerBytes, origin);
  return { tensors, metadata, headerBytes };
}

const NO_OFFSETS = 'has no "data_offsets" that is a list of two numbers.';
const ASK_MAKER = 'Download this file again, or ask who made it.';

function refuse(code: ErrorCode, file: string, tensor: string, found: string, byteOffset?: number): FormatError {
  const what = `${quoted(file)}: tensor ${quoted(tensor)} ${found}`;
  return new FormatError({ code, what, where: { file, tensor, byteOffset }, whatToDo: ASK_MAKER });
}

function checkMetadata(value: unknown, file: string): Record<string, string> {
  if (isObject(value) && Object.values(value).every((text) => typeof text === 'string')) {
    return value as Record<string, string>;
  }
  throw new FormatError({
    code: 'FORMAT_HEADER_INVALID',
    what: `${quoted(file)}: "__metadata__" holds something else than names with texts.`,
    where: { file },
    whatToDo: ASK_MAKER,
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkEntry(name: string, entry: unknown, headerBytes: number, origin: HeaderOrigin): SafetensorsTensor {
  const { file } = origin;
  if (!isObject(entry)) throw refuse('FORMAT_HEADER_INVALID', file, name, 'is not described by an object.');
  for (const key of Object.keys(entry)) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      throw refuse('FORMAT_HEADER_INVALID', file, name, `has the unknown key ${quoted(key)}.`);
    }
  }
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isDtype(dtype)) {
    const found = typeof dtype === 'string' ? `has the unknown dtype ${quoted(dtype)}.` : 'has no dtype.';
    throw refuse(typeof dtype === 'string' ? 'FORMAT_UNKNOWN_DTYPE' : 'FORMAT_HEADER_INVALID', file, name, found);
  }
  if (!isNumberList(shape))
    throw refuse('FORMAT_HEADER_INVALID', file, name, 'has no "shape" that is a list of numbers.');
  if (!isNumberList(offsets)) throw refuse('FORMAT_HEADER_INVALID', file, name, NO_OFFSETS);
  const { begin, sizeBytes } = checkOffsets(name, offsets, headerBytes, origin);
  const expectedBytes = tensorSizeBytes(dtype, shape);
  if (expectedBytes === 'overflow') {
    const found = `has shape [${shape.join(', ')}], more elements than any file can hold (2^53).`;
    throw refuse('FORMAT_SHAPE_OVERFLOW', file, name, found);
  }
  if (expectedBytes !== sizeBytes) {
    const expected = expectedBytes === 'fraction' ? 'a fraction of a byte' : `${expectedBytes} bytes`;
    const found = `is ${dtype} [${shape.join(', ')}], which takes ${expected}, but its offsets span ${sizeBytes} bytes.`;
    throw refuse('FORMAT_SHAPE_MISMATCH', file, name, found, headerBytes + begin);
  }
  return { name, dtype, shape, offsetBytes: headerBytes + begin, sizeBytes };
}

function isNumberList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

interface Span {
  begin: number;
  sizeBytes: number;
}

/** Whole numbers are all that the scan lets through; here they must also fit, and lie in the file. */
function checkOffsets(name: string, offsets: number[], headerBytes: number, origin: HeaderOrigin): Span {
  const [begin, end] = offsets;
  const { file, fileSizeBytes } = origin;
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    throw refuse('FORMAT_HEADER_INVALID', file, name, NO_OFFSETS);
  }
  for (const offset of offsets) {
    if (!Number.isSafeInteger(offset)) {
      throw refuse('FORMAT_OFFSET_NOT_INTEGER', file, name, `has the offset ${offset}, above the limit of 2^53 - 1.`);
    }
  }
  if (begin > end) {
    throw refuse(
      'FORMAT_OFFSETS_REVERSED',
      file,
      name,
      `begins at ${begin} and ends before, at ${end}.`,
      headerBytes + begin,
    );
  }
  if (headerBytes + end > fileSizeBytes) {
    throw new FormatError({
      code: 'FORMAT_TENSOR_OUT_OF_FILE',
      what: `${quoted(file)}: tensor ${quoted(name)} ends at byte ${headerBytes + end}, but the file has ${fileSizeBytes} bytes.`,
      where: { file, tensor: name, byteOffset: headerBytes + end },
      whatToDo: 'The file is cut short: download it again.',
    });
  }
  return { begin, sizeBytes: end - begin };
}

/** Every byte after the header belongs to exactly one tensor; an empty tensor stands on a border. */
function checkTiling(tensors: SafetensorsTensor[], headerBytes: number, origin: HeaderOrigin): void {
  const { file, fileSizeBytes } = origin;
  const byPosition = [...tensors].sort((a, b) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes);
  let expected = headerBytes;
  for (const { name, offsetBytes, sizeBytes } of byPosition) {
    if (offsetBytes > expected) {
      const found = `begins at byte ${offsetBytes}, but the tensor before it ends at byte ${expected}.`;
      throw refuse('FORMAT_TENSOR_GAP', file, name, found, expected);
    }
    if (offsetBytes < expected) {
      const found = `begins at byte ${offsetBytes}, inside a tensor that ends at byte ${expected}.`;
      throw refuse('FORMAT_TENSOR_OVERLAP', file, name, found, offsetBytes);
    }
    expected += sizeBytes;
  }
  if (expected !== fileSizeBytes) {
    throw new FormatError({
      code: 'FORMAT_TRAILING_BYTES',
      what: `${quoted(file)}: the last tensor ends at byte ${expected}, but the file has ${fileSizeBytes} bytes.`,
      where: { file, byteOffset: expected },
      whatToDo: ASK_MAKER,
    });
  }
}
