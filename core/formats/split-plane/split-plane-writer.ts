import { FormatError } from '../../errors.ts';
import type { Plane, PlaneKind } from '../../kernels/kernels.ts';
import { encodeUtf8 } from '../../utf8.ts';
import type { SafetensorsTensor } from '../safetensors/safetensors-header.ts';
import { PLANE_KINDS, planeSplitOf } from './plane-splits.ts';
import {
  BLOB_ALIGNMENT,
  MAX_SPLIT_PLANE_JSON_BYTES,
  SPLIT_PLANE_MAGIC,
  type SplitPlaneDescription,
} from './split-plane-header.ts';

/** Entries that the books of real models have at most, by plane; the planes left out are stored raw but for constants. */
const TYPICAL_BOOK_ENTRIES: Partial<Record<PlaneKind, number>> = { exp: 44, hi: 128, bytes: 256 };
/** Room for books that are larger than typical. */
const RESERVE_FACTOR = 1.02;
/** A coder pays 3 bytes for each book entry out of what it saves, so small planes have small books. */
const BOOK_ENTRY_BYTES = 3;

/** The tensors in the order in which split-plane stores them: by offset, ties as they stand in the header. */
export function inDataOrder<T extends { offsetBytes: number }>(tensors: readonly T[]): T[] {
  return [...tensors].sort((a, b) => a.offsetBytes - b.offsetBytes);
}

/**
 * Bytes to leave free at the beginning of a `.splane` file, so that a writer can stream the data first and write the
 * header last. Depends on the source's header alone, and is enough for real models.
 *
 * @returns 16 + H, a multiple of 64
 * Cost: builds the text of each tensor's entry once.
 */
export function reserveHeaderBytes(source: {
  tensors: readonly SafetensorsTensor[];
  headerBytes: number;
  fileSizeBytes: number;
}): number {
  const sha256 = '0'.repeat(64);
  let textBytes = describe({
    source: { bytes: source.fileSizeBytes, sha256, header: { offset: 0, bytes: source.headerBytes } },
    tensors: [],
  }).length;
  for (const { name, dtype, shape, sizeBytes } of source.tensors) {
    const kinds = PLANE_KINDS[planeSplitOf(dtype)];
    const planes = kinds.map((kind) => typicalPlane(kind, sizeBytes / kinds.length, source.fileSizeBytes));
    textBytes += encodeUtf8(JSON.stringify({ name, dtype, shape, bytes: sizeBytes, sha256, planes })).length + 1;
  }
  return alignUp(16 + Math.ceil(textBytes * RESERVE_FACTOR));
}

function typicalPlane(kind: PlaneKind, elements: number, fileSizeBytes: number): Plane {
  const entries = Math.min(TYPICAL_BOOK_ENTRIES[kind] ?? 0, Math.floor(elements / BOOK_ENTRY_BYTES));
  const plane: Plane = {
    kind,
    codec: entries > 0 ? 'rans12x32' : 'raw',
    offset: fileSizeBytes,
    bytes: elements,
    elements,
    first: 0,
    xxh3: '0'.repeat(16),
  };
  return entries > 0 ? { ...plane, book: Array.from({ length: entries }, () => [118, 100]) } : plane;
}

/**
 * Builds everything before the data: magic, length, JSON and spaces.
 *
 * Source: split-plane v1, "File".
 * @param minimumBytes what was reserved: the result has this length if the JSON fits, else it is longer (the caller then
 * moves the data)
 * @returns 16 + H bytes, a multiple of 64
 * @throws FormatError FORMAT_HEADER_TOO_LARGE
 */
export function buildSplitPlaneHeader(
  description: SplitPlaneDescription,
  { minimumBytes }: { minimumBytes: number },
): Uint8Array {
  const json = encodeUtf8(describe(description));
  const sizeBytes = alignUp(Math.max(16 + json.length, minimumBytes));
  if (sizeBytes - 16 > MAX_SPLIT_PLANE_JSON_BYTES) {
    throw new FormatError({
      code: 'FORMAT_HEADER_TOO_LARGE',
      what: `A header for ${description.tensors.length} tensors takes ${sizeBytes} bytes, but at most ${MAX_SPLIT_PLANE_JSON_BYTES} are allowed.`,
      whatToDo: 'Store the model in more shards.',
    });
  }
  const header = new Uint8Array(sizeBytes).fill(0x20);
  header.set(encodeUtf8(SPLIT_PLANE_MAGIC));
  new DataView(header.buffer).setBigUint64(8, BigInt(sizeBytes - 16), true);
  header.set(json, 16);
  return header;
}

/** Keys in the order of the specification, whatever order the caller's objects have. */
function describe({ source, tensors }: SplitPlaneDescription): string {
  return JSON.stringify({
    format: 'split-plane',
    version: 1,
    source: {
      bytes: source.bytes,
      sha256: source.sha256,
      header: { offset: source.header.offset, bytes: source.header.bytes },
    },
    tensors: tensors.map(({ name, dtype, shape, bytes, sha256, planes }) => {
      return { name, dtype, shape, bytes, sha256, planes: planes.map(orderedPlane) };
    }),
  });
}

function orderedPlane({ kind, codec, offset, bytes, elements, first, xxh3, book }: Plane): Plane {
  const plane: Plane = { kind, codec, offset, bytes, elements, first, xxh3 };
  return book ? { ...plane, book } : plane;
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / BLOB_ALIGNMENT) * BLOB_ALIGNMENT;
}
