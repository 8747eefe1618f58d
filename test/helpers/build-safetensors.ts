import { DTYPE_BITS, type Dtype } from '../../core/formats/safetensors/dtypes.ts';

export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Default: bytes 0, 1, 2 … modulo 256. */
  data?: Uint8Array;
}

export interface SafetensorsSpec {
  tensors?: TensorSpec[];
  metadata?: Record<string, unknown>;
  /** Replaces parts of the entry of a tensor, or adds keys to it. */
  entries?: Record<string, Record<string, unknown>>;
  /** Replaces the whole JSON text. */
  json?: string | Uint8Array;
  /** Replaces the length in the first 8 bytes. */
  headerLength?: bigint;
  /** Put after the last tensor. */
  trailing?: Uint8Array;
  /** Bytes taken from the end. */
  cutBytes?: number;
}

/** The bytes of a valid safetensors file, with what the caller asks for changed. Written apart from core's own writer. */
export function buildSafetensors(spec: SafetensorsSpec): Uint8Array {
  const header: Record<string, unknown> = spec.metadata ? { __metadata__: spec.metadata } : {};
  const data: Uint8Array[] = [];
  let end = 0;
  for (const { name, dtype, shape, data: given } of spec.tensors ?? []) {
    const sizeBytes = (shape.reduce((product, dim) => product * dim, 1) * DTYPE_BITS[dtype]) / 8;
    const bytes = given ?? Uint8Array.from({ length: sizeBytes }, (_, index) => index & 255);
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length], ...spec.entries?.[name] };
    data.push(bytes);
    end += bytes.length;
  }
  const json = spec.json ?? JSON.stringify(header);
  const text = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const first8 = new Uint8Array(8);
  new DataView(first8.buffer).setBigUint64(0, spec.headerLength ?? BigInt(text.length), true);
  const file = concatBytes([first8, text, ...data, spec.trailing ?? new Uint8Array(0)]);
  return file.subarray(0, file.length - (spec.cutBytes ?? 0));
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
