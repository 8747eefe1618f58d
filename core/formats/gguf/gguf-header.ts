import { FormatError, type ErrorCode } from '../../errors.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { quoted } from '../../quoted.ts';
import { GgufCursor, type GgufFile } from './gguf-cursor.ts';
import { readGgufMetadata, type GgufMetadata } from './gguf-metadata.ts';
import { placeGgufTensors, readGgufTensors, type GgufTensor } from './gguf-tensors.ts';

const MAGIC = 0x46554747; // "GGUF", read as a little-endian u32.
/** Magic, version, two counts. */
const FIXED_BYTES = 24;
const VERSIONS: readonly number[] = [2, 3];
const DEFAULT_ALIGNMENT = 32;
/** A page of any system; larger ones would only waste room. */
const MAX_ALIGNMENT = 1 << 16;

export interface GgufHeader {
  version: number;
  metadata: GgufMetadata;
  /** In the order of the file, with absolute places; every one lies in the file, none overlaps another. */
  tensors: GgufTensor[];
  /** Where the data begin. */
  dataStart: number;
  /** Bytes after the last tensor and its padding, which belong to nothing. */
  trailingBytes: number;
}

/**
 * Reads and checks the header of a GGUF file.
 *
 * Source: the GGUF specification, versions 2 and 3, little-endian. As strict as ggml's reader: names and keys once, rows
 * of whole blocks, tensors one after the other in the order of the file.
 * @throws FormatError FORMAT_FILE_CUT_SHORT, FORMAT_HEADER_INVALID, FORMAT_UNSUPPORTED_VERSION, FORMAT_HEADER_TOO_LARGE,
 * FORMAT_HEADER_OUT_OF_FILE, FORMAT_HEADER_TOO_DEEP, FORMAT_DUPLICATE_KEY, FORMAT_UNKNOWN_DTYPE, FORMAT_SHAPE_OVERFLOW,
 * FORMAT_SHAPE_MISMATCH, FORMAT_TENSOR_GAP, FORMAT_TENSOR_OVERLAP, FORMAT_TENSOR_OUT_OF_FILE; what `access` throws
 * Cost: one pass over the header in pieces of 1 MiB; lists stay in the file.
 */
export async function readGgufHeader(file: GgufFile, access: FileAccess): Promise<GgufHeader> {
  const refuse = (code: ErrorCode, found: string, whatToDo: string, byteOffset = 0) =>
    new FormatError({ code, what: `${quoted(file.file)} ${found}`, where: { file: file.file, byteOffset }, whatToDo });
  if (file.sizeBytes < FIXED_BYTES) {
    const found = `has ${file.sizeBytes} bytes, but a GGUF file has at least ${FIXED_BYTES}.`;
    throw refuse('FORMAT_FILE_CUT_SHORT', found, 'Download this file again.');
  }
  const cursor = new GgufCursor(file, access);
  await cursor.need(FIXED_BYTES, 'the beginning');
  const magic = cursor.u32();
  if (magic !== MAGIC) {
    const found = `begins with the bytes 0x${swapped(magic).toString(16).padStart(8, '0')}, not with "GGUF".`;
    throw refuse('FORMAT_HEADER_INVALID', found, 'Check that this is a GGUF file.');
  }
  const version = cursor.u32();
  if (!VERSIONS.includes(version)) {
    const isBigEndian = VERSIONS.includes(swapped(version));
    const found = isBigEndian
      ? `is a big-endian GGUF file, of version ${swapped(version)}.`
      : `is a GGUF file of version ${version}, expected ${VERSIONS.join(' or ')}.`;
    const whatToDo = isBigEndian ? 'Get the little-endian file.' : 'Convert the model again with a program of today.';
    throw refuse('FORMAT_UNSUPPORTED_VERSION', found, whatToDo, 4);
  }
  const tensorCount = cursor.u64();
  const keyCount = cursor.u64();
  const metadata = await readGgufMetadata(cursor, keyCount, file.file);
  const alignment = alignmentOf(metadata, file.file);
  const infos = await readGgufTensors(cursor, tensorCount, file.file);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const { tensors, endBytes } = placeGgufTensors(infos, { ...file, dataStart, alignment });
  return { version, metadata, tensors, dataStart, trailingBytes: Math.max(0, file.sizeBytes - endBytes) };
}

function swapped(word: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, word, true);
  return view.getUint32(0, false);
}

function alignmentOf(metadata: GgufMetadata, file: string): number {
  const entry = metadata.get('general.alignment');
  if (!entry) return DEFAULT_ALIGNMENT;
  const { type, value } = entry;
  const isPower =
    typeof value === 'number' && value > 0 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value));
  if (type === 'u32' && isPower) return value;
  throw new FormatError({
    code: 'FORMAT_HEADER_INVALID',
    what: `${quoted(file)}: "general.alignment" is ${typeof value === 'number' ? value : `of type ${type}`}, expected a power of two up to ${MAX_ALIGNMENT}, as u32.`,
    where: { file },
    whatToDo: 'Download this file again, or ask who made it.',
  });
}
