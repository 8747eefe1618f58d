import { FormatError } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import { compareByCodePoint, encodeUtf8 } from '../../utf8.ts';
import { DTYPE_BITS, type Dtype } from './dtypes.ts';
import type { SafetensorsTensor } from './safetensors-header.ts';
import { tensorSizeBytes } from './tensor-size.ts';

export interface TensorToWrite {
  name: string;
  dtype: Dtype;
  shape: number[];
}

export interface SafetensorsLayout {
  /** Length, JSON and padding: the file's first bytes. */
  header: Uint8Array;
  /** The tensors as given, each with its place. */
  tensors: SafetensorsTensor[];
  fileSizeBytes: number;
}

/** The reference implementation sorts by its enumeration of dtypes, descending; `DTYPE_BITS` stands in its order. */
const DTYPES_ASCENDING = Object.keys(DTYPE_BITS);

/**
 * The order in which the official writer stores tensors: wide dtypes first, so that all are aligned, then by name.
 *
 * Source: safetensors 0.4 to 0.6, `prepare`; among others U64, I64, F64, F32, I32, BF16, F16, I16, F8_E4M3, F8_E5M2, I8, U8, BOOL.
 */
export function sortForWriting<T extends { name: string; dtype: Dtype }>(tensors: readonly T[]): T[] {
  const rankOf = ({ dtype }: T) => -DTYPES_ASCENDING.indexOf(dtype);
  return [...tensors].sort((a, b) => rankOf(a) - rankOf(b) || compareByCodePoint(a.name, b.name));
}

/**
 * Builds a safetensors header for tensors that are stored one after the other in the given order.
 *
 * Source: the official writer: compact JSON, `__metadata__` first, spaces up to a multiple of 8 bytes. With tensors from
 * `sortForWriting` the header is the official one, byte for byte.
 * @throws FormatError FORMAT_SHAPE_OVERFLOW, FORMAT_DUPLICATE_KEY
 */
export function buildSafetensorsHeader(
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string> | null,
): SafetensorsLayout {
  const parts = metadata === null ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  const placed: SafetensorsTensor[] = [];
  const names = new Set(['__metadata__']);
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const sizeBytes = tensorSizeBytes(dtype, shape);
    if (typeof sizeBytes === 'string' || !Number.isSafeInteger(end + sizeBytes)) {
      throw cannotWrite(
        'FORMAT_SHAPE_OVERFLOW',
        name,
        `of shape [${shape.join(', ')}] and ${dtype} has no size in whole bytes below 2^53`,
      );
    }
    if (names.has(name)) throw cannotWrite('FORMAT_DUPLICATE_KEY', name, 'would stand a second time in one file');
    names.add(name);
    placed.push({ name, dtype, shape, offsetBytes: end, sizeBytes });
    const entry = { dtype, shape, data_offsets: [end, end + sizeBytes] };
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    end += sizeBytes;
  }
  const json = encodeUtf8(`{${parts.join(',')}}`);
  const jsonBytes = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + jsonBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(jsonBytes), true);
  header.set(json, 8);
  for (const tensor of placed) tensor.offsetBytes += header.length;
  return { header, tensors: placed, fileSizeBytes: header.length + end };
}

function cannotWrite(
  code: 'FORMAT_SHAPE_OVERFLOW' | 'FORMAT_DUPLICATE_KEY',
  tensor: string,
  found: string,
): FormatError {
  return new FormatError({
    code,
    what: `Tensor ${quoted(tensor)} ${found}.`,
    where: { tensor },
    whatToDo: 'Leave this tensor out, or rename it.',
  });
}
