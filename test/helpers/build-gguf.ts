import { concatBytes } from './build-safetensors.ts';

/** A value with its type; the number of a type that does not exist is written without bytes. */
export type GgufValueSpec =
  | ['u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64', number]
  | ['u64' | 'i64', bigint]
  | ['bool', number | boolean]
  | ['string', string | Uint8Array]
  | ['array', GgufListSpec]
  | ['unknown', number];

export interface GgufListSpec {
  of: Exclude<GgufValueSpec[0], 'unknown'>;
  items: unknown[];
  /** Replaces the count that is written. */
  count?: bigint;
}

export interface GgufTensorSpec {
  name: string;
  /** ggml's number. */
  type: number;
  /** [out, in]; written the other way round. */
  shape: (number | bigint)[];
  data?: Uint8Array;
  /** Replaces the offset that follows from the tensors before. */
  offset?: bigint;
}

export interface GgufSpec {
  magic?: string;
  version?: number;
  metadata?: [string | Uint8Array, ...GgufValueSpec][];
  tensors?: GgufTensorSpec[];
  alignment?: number;
  /** Replace the counts in the header. */
  tensorCount?: bigint;
  keyCount?: bigint;
  /** Put after the last tensor's padding. */
  trailing?: Uint8Array;
  /** Bytes taken from the end. */
  cutBytes?: number;
}

const TYPES = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64'] as const;

/** The bytes of a valid GGUF file, with what the caller asks for changed. Written apart from core's reader. */
export function buildGguf(spec: GgufSpec): Uint8Array {
  const { alignment = 32, metadata = [], tensors = [] } = spec;
  const keys: Uint8Array[] = metadata.map(([key, ...value]) => concatBytes([text(key), typed(value)]));
  const datas = tensors.map(({ data }) => data ?? new Uint8Array(0));
  let end = 0;
  const infos = tensors.map(({ name, type, shape, offset }, index) => {
    const info = concatBytes([
      text(name),
      u32(shape.length),
      ...[...shape].reverse().map((dim) => u64(BigInt(dim))),
      u32(type),
      u64(offset ?? BigInt(end)),
    ]);
    end = Math.ceil((end + datas[index]!.length) / alignment) * alignment;
    return info;
  });
  const header = concatBytes([
    new TextEncoder().encode(spec.magic ?? 'GGUF'),
    u32(spec.version ?? 3),
    u64(spec.tensorCount ?? BigInt(tensors.length)),
    u64(spec.keyCount ?? BigInt(metadata.length)),
    ...keys,
    ...infos,
  ]);
  const padded = [header, ...datas].map((part) => {
    return concatBytes([part, new Uint8Array(Math.ceil(part.length / alignment) * alignment - part.length)]);
  });
  const file = concatBytes([...padded, spec.trailing ?? new Uint8Array(0)]);
  return file.subarray(0, file.length - (spec.cutBytes ?? 0));
}

function typed(value: GgufValueSpec): Uint8Array {
  if (value[0] === 'unknown') return u32(value[1]);
  return concatBytes([u32(TYPES.indexOf(value[0])), valueBytes(value[0], value[1])]);
}

function valueBytes(type: (typeof TYPES)[number], value: unknown): Uint8Array {
  if (type === 'string') return text(value as string | Uint8Array);
  if (type === 'array') {
    const { of, items, count } = value as GgufListSpec;
    const bytes = items.map((item) => valueBytes(of, item));
    return concatBytes([u32(TYPES.indexOf(of)), u64(count ?? BigInt(items.length)), ...bytes]);
  }
  const view = new DataView(new ArrayBuffer(8));
  switch (type) {
    case 'u8':
    case 'bool':
      view.setUint8(0, Number(value));
      return first(view, 1);
    case 'i8':
      view.setInt8(0, value as number);
      return first(view, 1);
    case 'u16':
      view.setUint16(0, value as number, true);
      return first(view, 2);
    case 'i16':
      view.setInt16(0, value as number, true);
      return first(view, 2);
    case 'u32':
      view.setUint32(0, value as number, true);
      return first(view, 4);
    case 'i32':
      view.setInt32(0, value as number, true);
      return first(view, 4);
    case 'f32':
      view.setFloat32(0, value as number, true);
      return first(view, 4);
    case 'f64':
      view.setFloat64(0, value as number, true);
      return first(view, 8);
    case 'u64':
      return u64(value as bigint);
    case 'i64':
      view.setBigInt64(0, value as bigint, true);
      return first(view, 8);
  }
}

function text(value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return concatBytes([u64(BigInt(bytes.length)), bytes]);
}

function u32(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return first(view, 4);
}

function u64(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return first(view, 8);
}

function first(view: DataView, length: number): Uint8Array {
  return new Uint8Array(view.buffer, 0, length);
}

/** Floats as stored bytes. */
export function floatBytes(values: Iterable<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
