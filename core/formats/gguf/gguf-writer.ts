import { encodeUtf8 } from '../../utf8.ts';

/** A value of the metadata, with its type in the file. */
export type GgufScalarType = keyof typeof TYPE_IDS;
export type GgufValue =
  | { type: GgufScalarType; value: number | bigint | boolean | string }
  | { type: 'array'; of: GgufScalarType; items: readonly (number | bigint | boolean | string)[] };

export type GgufValues = ReadonlyMap<string, GgufValue>;

export interface NewGgufTensor {
  name: string;
  /** ggml's number of it. */
  typeId: number;
  /** [out, in]: turned around here. */
  shape: readonly number[];
  sizeBytes: number;
}

export interface NewGgufFile {
  /** Everything before the first tensor, padding included. */
  header: Uint8Array;
  /** Where each tensor's bytes begin in the file. */
  offsets: number[];
  fileBytes: number;
}

const VERSION = 3;
/** The default, which is then not written. */
const ALIGNMENT = 32;
const TYPE_IDS = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
const ARRAY_ID = 9;

/**
 * The header of a GGUF file, and where its tensors go: one after the other, each at a multiple of 32 bytes, the last one
 * padded too.
 *
 * Source: the GGUF specification, version 3, "File Structure"; llama.cpp's reader wants offsets without gaps, in file order.
 */
export function newGgufFile(metadata: GgufValues, tensors: readonly NewGgufTensor[]): NewGgufFile {
  const bytes = new ByteBuffer();
  bytes.raw(encodeUtf8('GGUF'));
  bytes.u32(VERSION);
  bytes.u64(tensors.length);
  bytes.u64(metadata.size);
  for (const [key, value] of metadata) {
    bytes.text(key);
    bytes.u32(value.type === 'array' ? ARRAY_ID : TYPE_IDS[value.type]);
    writeValue(bytes, value);
  }
  let end = 0;
  const starts = tensors.map(({ name, typeId, shape, sizeBytes }) => {
    const start = end;
    bytes.text(name);
    bytes.u32(shape.length);
    for (const dimension of [...shape].reverse()) bytes.u64(dimension);
    bytes.u32(typeId);
    bytes.u64(start);
    end = aligned(start + sizeBytes);
    return start;
  });
  bytes.zeros(aligned(bytes.length) - bytes.length);
  const header = bytes.finish();
  return { header, offsets: starts.map((start) => header.length + start), fileBytes: header.length + end };
}

function writeValue(bytes: ByteBuffer, value: GgufValue): void {
  if (value.type !== 'array') {
    writeScalar(bytes, value.type, value.value);
    return;
  }
  bytes.u32(TYPE_IDS[value.of]);
  bytes.u64(value.items.length);
  for (const item of value.items) writeScalar(bytes, value.of, item);
}

function writeScalar(bytes: ByteBuffer, type: GgufScalarType, value: number | bigint | boolean | string): void {
  switch (type) {
    case 'string':
      bytes.text(String(value));
      return;
    case 'bool':
      bytes.number(1, (view, at) => view.setUint8(at, value === true ? 1 : 0));
      return;
    case 'u8':
      bytes.number(1, (view, at) => view.setUint8(at, Number(value)));
      return;
    case 'i8':
      bytes.number(1, (view, at) => view.setInt8(at, Number(value)));
      return;
    case 'u16':
      bytes.number(2, (view, at) => view.setUint16(at, Number(value), true));
      return;
    case 'i16':
      bytes.number(2, (view, at) => view.setInt16(at, Number(value), true));
      return;
    case 'u32':
      bytes.number(4, (view, at) => view.setUint32(at, Number(value), true));
      return;
    case 'i32':
      bytes.number(4, (view, at) => view.setInt32(at, Number(value), true));
      return;
    case 'f32':
      bytes.number(4, (view, at) => view.setFloat32(at, Number(value), true));
      return;
    case 'u64':
      bytes.number(8, (view, at) => view.setBigUint64(at, BigInt(value), true));
      return;
    case 'i64':
      bytes.number(8, (view, at) => view.setBigInt64(at, BigInt(value), true));
      return;
    case 'f64':
      bytes.number(8, (view, at) => view.setFloat64(at, Number(value), true));
  }
}

function aligned(position: number): number {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

/** Little-endian bytes that grow. */
class ByteBuffer {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  raw(bytes: Uint8Array): void {
    // The buffer may be another one afterwards.
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  zeros(count: number): void {
    this.#take(count);
  }

  /** One number of so many bytes. */
  number(sizeBytes: number, write: (view: DataView, at: number) => void): void {
    const at = this.#take(sizeBytes);
    write(this.#view, at);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  /** With its length in front. */
  text(text: string): void {
    const bytes = encodeUtf8(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #take(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
