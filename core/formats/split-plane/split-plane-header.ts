import type { ErrorCode, FormatError } from '../../errors.ts';
import { shown } from '../../quoted.ts';
import { isDtype } from '../safetensors/dtypes.ts';
import { MAX_HEADER_JSON_BYTES, type HeaderOrigin } from '../safetensors/safetensors-header.ts';
import { tensorSizeBytes } from '../safetensors/tensor-size.ts';
import { parseStrictJson } from '../strict-json.ts';
import type { Plane } from '../../kernels/kernels.ts';
import { checkPlanes, type BlobPlace } from './check-planes.ts';
import { count, isObject, refuseSplitPlane } from './split-plane-fields.ts';
import { planeSplitOf, type SplitPlaneDtype } from './plane-splits.ts';

/** As for safetensors headers: each describes one of these. */
export const MAX_SPLIT_PLANE_JSON_BYTES = 100 * 1024 * 1024;
/** The JSON, then the data, begin and end at multiples of this: a cache line, and the alignment that vector loads like. */
export const BLOB_ALIGNMENT = 64;
export const SPLIT_PLANE_MAGIC = 'SPLPLANE';

/** The source has at most as many tensors as a safetensors header. */
const MAX_LIST_ITEMS = 1 << 20;
/** As in safetensors. */
const MAX_DIMENSIONS = 64;
const SHA256 = /^[0-9a-f]{64}$/;

export interface SplitPlaneSource {
  /** Of the whole source file. */
  bytes: number;
  sha256: string;
  /** Blob with the source's first 8 + n bytes; `offset` counts from the data start. */
  header: { offset: number; bytes: number };
}

export interface SplitPlaneEntry {
  name: string;
  dtype: SplitPlaneDtype;
  shape: number[];
  /** Of the original tensor. */
  bytes: number;
  /** Of the original bytes. */
  sha256: string;
  planes: Plane[];
}

export interface SplitPlaneDescription {
  source: SplitPlaneSource;
  /** In the order of the source's offsets. */
  tensors: SplitPlaneEntry[];
}

export interface SplitPlaneHeader extends SplitPlaneDescription {
  /** 16 + H: the offsets of blobs count from here. */
  dataStart: number;
}

/**
 * The length of the JSON of a `.splane` file.
 *
 * Source: split-plane v1, "File".
 * @param first16 the file's first bytes, 16 of them unless the file is shorter
 * @throws FormatError FORMAT_FILE_CUT_SHORT, FORMAT_HEADER_INVALID (magic, alignment), FORMAT_HEADER_TOO_LARGE,
 * FORMAT_HEADER_OUT_OF_FILE
 */
export function readSplitPlaneHeaderLength(first16: Uint8Array, { file, fileSizeBytes }: HeaderOrigin): number {
  const fail = (code: ErrorCode, found: string): FormatError => refuseSplitPlane(code, { file, byteOffset: 0 }, found);
  if (first16.length < 16 || fileSizeBytes < 16) {
    throw fail('FORMAT_FILE_CUT_SHORT', `the file has ${first16.length} bytes, but at least 16 are needed.`);
  }
  if (String.fromCharCode(...first16.subarray(0, 8)) !== SPLIT_PLANE_MAGIC) {
    throw fail('FORMAT_HEADER_INVALID', `the file does not begin with "${SPLIT_PLANE_MAGIC}".`);
  }
  const length = new DataView(first16.buffer, first16.byteOffset).getBigUint64(8, true);
  if (length > BigInt(MAX_SPLIT_PLANE_JSON_BYTES)) {
    const limit = `at most ${MAX_SPLIT_PLANE_JSON_BYTES} are allowed`;
    throw fail('FORMAT_HEADER_TOO_LARGE', `the header claims ${length} bytes, but ${limit}.`);
  }
  if (16n + length > BigInt(fileSizeBytes)) {
    const end = 16n + length;
    throw fail('FORMAT_HEADER_OUT_OF_FILE', `the header ends at byte ${end}, but the file has ${fileSizeBytes} bytes.`);
  }
  if ((16n + length) % BigInt(BLOB_ALIGNMENT) !== 0n) {
    throw fail(
      'FORMAT_HEADER_INVALID',
      `the data begin at byte ${16n + length}, not at a multiple of ${BLOB_ALIGNMENT}.`,
    );
  }
  return Number(length);
}

/**
 * Reads the JSON of a `.splane` file strictly: every blob lies in the file, apart from the others, and the planes of each
 * tensor are exactly those of its dtype. The blobs' content is the decoder's to check.
 *
 * Source: split-plane v1. Unknown keys are ignored; unknown formats, versions, kinds and codecs are refused.
 * @param json the H bytes after the first 16; not kept
 * @throws FormatError FORMAT_HEADER_NOT_JSON, FORMAT_HEADER_TOO_DEEP, FORMAT_HEADER_TOO_LARGE, FORMAT_HEADER_INVALID,
 * FORMAT_DUPLICATE_KEY, FORMAT_UNSUPPORTED_VERSION, FORMAT_UNKNOWN_DTYPE, FORMAT_OFFSET_NOT_INTEGER,
 * FORMAT_TENSOR_OUT_OF_FILE, FORMAT_TENSOR_OVERLAP, FORMAT_SHAPE_MISMATCH, FORMAT_SHAPE_OVERFLOW,
 * FORMAT_CODED_DATA_MALFORMED (a book that no writer makes, a blob too short for its elements)
 */
export function parseSplitPlaneHeader(json: Uint8Array, { file, fileSizeBytes }: HeaderOrigin): SplitPlaneHeader {
  const limits = {
    maxDepth: 16,
    maxObjectMembers: MAX_LIST_ITEMS,
    maxArrayItems: MAX_LIST_ITEMS,
    wholeNumbersOnly: false,
  };
  const { value } = parseStrictJson(json, {
    file,
    offsetBytes: 16,
    limits,
    syntaxCode: 'FORMAT_HEADER_NOT_JSON',
    rootKeysAreTensors: false,
  });
  if (value['format'] !== 'split-plane' || value['version'] !== 1) {
    const found = `format ${shown(value['format'])}, version ${shown(value['version'])}`;
    throw refuseSplitPlane(
      'FORMAT_UNSUPPORTED_VERSION',
      { file },
      `found ${found}, expected "split-plane", version 1.`,
    );
  }
  const dataStart = 16 + json.length;
  const place: BlobPlace = { file, dataBytes: fileSizeBytes - dataStart, blobs: [] };
  const source = checkSource(value['source'], place);
  const list = value['tensors'];
  if (!Array.isArray(list)) throw refuseSplitPlane('FORMAT_HEADER_INVALID', { file }, '"tensors" is not a list.');
  const tensors = list.map((entry) => checkEntry(entry, place));
  checkNames(tensors, file);
  checkBlobs(place);
  const total = tensors.reduce((sum, { bytes }) => sum + BigInt(bytes), BigInt(source.header.bytes));
  if (total !== BigInt(source.bytes)) {
    const found = `header and tensors have ${total} bytes together, but the source has ${source.bytes}.`;
    throw refuseSplitPlane('FORMAT_SHAPE_MISMATCH', { file }, found);
  }
  return { source, tensors, dataStart };
}

function checkSource(value: unknown, place: BlobPlace): SplitPlaneSource {
  const at = { file: place.file };
  const header = isObject(value) ? value['header'] : undefined;
  if (!isObject(value) || !isObject(header)) {
    throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, '"source" does not describe the source file.');
  }
  const source = {
    bytes: count(value['bytes'], '"source.bytes"', at),
    sha256: sha256(value['sha256'], '"source.sha256"', at),
    header: {
      offset: count(header['offset'], '"source.header.offset"', at),
      bytes: count(header['bytes'], '"source.header.bytes"', at),
    },
  };
  // Readers take the blob into memory; no source has a longer one.
  if (source.header.bytes > 8 + MAX_HEADER_JSON_BYTES) {
    const found = `"source.header" has ${source.header.bytes} bytes, more than any safetensors header.`;
    throw refuseSplitPlane('FORMAT_HEADER_TOO_LARGE', at, found);
  }
  place.blobs.push({ ...source.header, tensor: undefined });
  return source;
}

function sha256(value: unknown, meaning: string, at: { file: string; tensor?: string }): string {
  if (typeof value === 'string' && SHA256.test(value)) return value;
  throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, `${meaning} is not 64 lower-case hexadecimal digits.`);
}

function checkEntry(entry: unknown, place: BlobPlace): SplitPlaneEntry {
  const name = isObject(entry) ? entry['name'] : undefined;
  if (!isObject(entry) || typeof name !== 'string') {
    throw refuseSplitPlane('FORMAT_HEADER_INVALID', { file: place.file }, 'an entry of "tensors" has no name.');
  }
  const at = { file: place.file, tensor: name };
  const { dtype, shape: dims, planes } = entry;
  if (typeof dtype !== 'string' || (dtype !== 'RAW' && !isDtype(dtype))) {
    throw refuseSplitPlane('FORMAT_UNKNOWN_DTYPE', at, `found the dtype ${shown(dtype)}, which is not known.`);
  }
  if (!Array.isArray(dims) || !Array.isArray(planes)) {
    throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, '"shape" or "planes" is not a list.');
  }
  if (dims.length > MAX_DIMENSIONS) {
    const found = `"shape" has ${dims.length} dims, more than the limit of ${MAX_DIMENSIONS}.`;
    throw refuseSplitPlane('FORMAT_HEADER_TOO_LARGE', at, found);
  }
  const shape = dims.map((dim) => count(dim, 'a dim of "shape"', at));
  const bytes = count(entry['bytes'], '"bytes"', at);
  const expected = tensorSizeBytes(dtype === 'RAW' ? 'U8' : dtype, shape);
  if (expected === 'overflow') {
    throw refuseSplitPlane('FORMAT_SHAPE_OVERFLOW', at, `shape [${shape.join(', ')}] has more than 2^53 elements.`);
  }
  if (expected !== bytes) {
    const found = `${dtype} [${shape.join(', ')}] does not take ${bytes} bytes.`;
    throw refuseSplitPlane('FORMAT_SHAPE_MISMATCH', at, found);
  }
  return {
    name,
    dtype,
    shape,
    bytes,
    sha256: sha256(entry['sha256'], '"sha256"', at),
    planes: checkPlanes(planes, planeSplitOf(dtype), bytes, at, place),
  };
}

function checkNames(tensors: readonly SplitPlaneEntry[], file: string): void {
  const names = new Set<string>();
  for (const { name: tensor, dtype } of tensors) {
    if (names.has(tensor)) throw refuseSplitPlane('FORMAT_DUPLICATE_KEY', { file, tensor }, 'it is described twice.');
    names.add(tensor);
    if (dtype === 'RAW' && tensors.length > 1) {
      throw refuseSplitPlane(
        'FORMAT_HEADER_INVALID',
        { file, tensor },
        'dtype RAW stands for a whole file, but is not alone.',
      );
    }
  }
}

/** Every blob lies in the data, at a multiple of 64, and shares no byte with another. */
function checkBlobs({ file, dataBytes, blobs }: BlobPlace): void {
  let end = 0;
  for (const blob of [...blobs].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    const at = { file, tensor: blob.tensor, byteOffset: blob.offset };
    if (blob.offset % BLOB_ALIGNMENT !== 0) {
      const found = `a blob begins at data byte ${blob.offset}, not at a multiple of ${BLOB_ALIGNMENT}.`;
      throw refuseSplitPlane('FORMAT_HEADER_INVALID', at, found);
    }
    if (blob.bytes > dataBytes || blob.offset > dataBytes - blob.bytes) {
      const found = `a blob of ${blob.bytes} bytes begins at data byte ${blob.offset}, but there are ${dataBytes} data bytes.`;
      throw refuseSplitPlane('FORMAT_TENSOR_OUT_OF_FILE', at, found);
    }
    if (blob.bytes > 0 && blob.offset < end) {
      const found = `a blob begins at data byte ${blob.offset}, inside one that ends at ${end}.`;
      throw refuseSplitPlane('FORMAT_TENSOR_OVERLAP', at, found);
    }
    end = Math.max(end, blob.offset + blob.bytes);
  }
}
