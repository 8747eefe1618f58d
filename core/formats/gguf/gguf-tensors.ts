import { FormatError, type ErrorCode } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import { elementCount } from '../safetensors/tensor-size.ts';
import { ggmlTypeOf } from './ggml-types.ts';
import type { GgufCursor, GgufFile } from './gguf-cursor.ts';
import { readGgufText } from './gguf-metadata.ts';

/** As many as `safetensors-header.ts` allows. */
const MAX_TENSORS = 1 << 20;
/** The specification's limit. */
const MAX_NAME_BYTES = 64;
/** ggml's. */
const MAX_DIMENSIONS = 4;
/** A name of one byte, no dimension, type, offset. */
const LEAST_INFO_BYTES = 8 + 1 + 4 + 4 + 8;

/** A tensor as the header describes it. */
export interface GgufTensorInfo {
  name: string;
  /** As GGUF tools print it: F32, Q4_0, IQ4_XS … */
  type: string;
  /** Ours: outermost first, [out, in]; the file has the reverse. */
  shape: number[];
  elements: number;
  sizeBytes: number;
  /** From the beginning of the data, as claimed. */
  claimedOffset: bigint;
}

export interface GgufTensor extends Omit<GgufTensorInfo, 'claimedOffset'> {
  /** From the beginning of the file. */
  offsetBytes: number;
}

/**
 * Reads the tensor infos of a GGUF header; their places are not looked at yet.
 *
 * @param count as the header claims it
 * @throws FormatError FORMAT_HEADER_TOO_LARGE, FORMAT_HEADER_OUT_OF_FILE, FORMAT_HEADER_INVALID, FORMAT_DUPLICATE_KEY,
 * FORMAT_UNKNOWN_DTYPE, FORMAT_SHAPE_OVERFLOW, FORMAT_SHAPE_MISMATCH; what the cursor throws
 */
export async function readGgufTensors(cursor: GgufCursor, count: bigint, file: string): Promise<GgufTensorInfo[]> {
  const leastBytes = count * BigInt(LEAST_INFO_BYTES);
  if (leastBytes > BigInt(cursor.remaining)) {
    throw cursor.outOfFile(leastBytes, `the description of ${count} tensors`);
  }
  if (count > BigInt(MAX_TENSORS)) {
    throw refuse(
      'FORMAT_HEADER_TOO_LARGE',
      file,
      undefined,
      cursor.position,
      `the header claims ${count} tensors, but at most ${MAX_TENSORS} are allowed.`,
    );
  }
  const infos: GgufTensorInfo[] = [];
  const names = new Set<string>();
  for (let left = Number(count); left > 0; left--) {
    const at = cursor.position;
    const info = await readInfo(cursor, file);
    if (names.has(info.name)) {
      throw refuse('FORMAT_DUPLICATE_KEY', file, info.name, at, `tensor ${quoted(info.name)} stands a second time.`);
    }
    names.add(info.name);
    infos.push(info);
  }
  return infos;
}

async function readInfo(cursor: GgufCursor, file: string): Promise<GgufTensorInfo> {
  const at = cursor.position;
  const name = await readGgufText(cursor, file, MAX_NAME_BYTES, 'the name of a tensor');
  const no = (code: ErrorCode, found: string) => refuse(code, file, name, at, `tensor ${quoted(name)} ${found}`);
  if (name === '') throw no('FORMAT_HEADER_INVALID', 'has no name.');
  const what = `the description of tensor ${quoted(name)}`;
  await cursor.need(4, what);
  const rank = cursor.u32();
  if (rank > MAX_DIMENSIONS) {
    throw no('FORMAT_HEADER_INVALID', `has ${rank} dimensions, but at most ${MAX_DIMENSIONS} are allowed.`);
  }
  await cursor.need(8 * rank + 12, what);
  const dims = Array.from({ length: rank }, () => cursor.u64());
  const typeId = cursor.u32();
  const type = ggmlTypeOf(typeId);
  const claimedOffset = cursor.u64();
  if (type === null) throw no('FORMAT_UNKNOWN_DTYPE', `is of type ${typeId}, which ggml does not define.`);
  const shape = dims.map(Number).reverse();
  const elements = dims.every((dim) => dim <= Number.MAX_SAFE_INTEGER) ? elementCount(shape) : null;
  const sizeBytes = elements === null ? Infinity : (elements / type.blockElements) * type.blockBytes;
  if (elements === null || !(sizeBytes <= Number.MAX_SAFE_INTEGER)) {
    throw no('FORMAT_SHAPE_OVERFLOW', `has shape [${[...dims].reverse().join(', ')}], more than any file can hold.`);
  }
  const columns = shape[shape.length - 1] ?? 1;
  if (columns % type.blockElements !== 0) {
    const found = `has rows of ${columns} elements, but ${type.name} has blocks of ${type.blockElements}.`;
    throw no('FORMAT_SHAPE_MISMATCH', found);
  }
  return { name, type: type.name, shape, elements, sizeBytes, claimedOffset };
}

/**
 * Finds the places of the tensors: one after the other in the order of the file, each padded to the alignment.
 *
 * @returns the tensors, and where the last one's padding ends (or the last one itself, if the file has no padding after it)
 * @throws FormatError FORMAT_TENSOR_GAP, FORMAT_TENSOR_OVERLAP, FORMAT_TENSOR_OUT_OF_FILE
 */
export function placeGgufTensors(
  infos: readonly GgufTensorInfo[],
  { file, sizeBytes: fileSizeBytes, dataStart, alignment }: GgufFile & { dataStart: number; alignment: number },
): { tensors: GgufTensor[]; endBytes: number } {
  let endBytes = dataStart;
  const tensors = infos.map(({ claimedOffset, ...info }): GgufTensor => {
    const offsetBytes = endBytes;
    const no = (code: ErrorCode, found: string) =>
      refuse(code, file, info.name, offsetBytes, `tensor ${quoted(info.name)} ${found}`);
    const expected = BigInt(offsetBytes - dataStart);
    if (claimedOffset !== expected) {
      const found = `begins at offset ${claimedOffset}, expected ${expected}, where the tensor before it ends.`;
      throw no(claimedOffset > expected ? 'FORMAT_TENSOR_GAP' : 'FORMAT_TENSOR_OVERLAP', found);
    }
    if (offsetBytes + info.sizeBytes > fileSizeBytes) {
      const found = `ends at byte ${offsetBytes + info.sizeBytes}, but the file has ${fileSizeBytes} bytes.`;
      throw no('FORMAT_TENSOR_OUT_OF_FILE', found);
    }
    endBytes = offsetBytes + Math.ceil(info.sizeBytes / alignment) * alignment;
    return { ...info, offsetBytes };
  });
  return { tensors, endBytes };
}

function refuse(
  code: ErrorCode,
  file: string,
  tensor: string | undefined,
  byteOffset: number,
  found: string,
): FormatError {
  return new FormatError({
    code,
    what: `${quoted(file)}: at byte ${byteOffset}, ${found}`,
    where: { file, tensor, byteOffset },
    whatToDo: 'The file is cut short or damaged: download it again, or ask who made it.',
  });
}
