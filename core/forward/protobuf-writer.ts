/**
 * Writes protobuf messages, just as much of them as ONNX models need.
 *
 * Source: "Encoding" of the Protocol Buffers documentation: a field is its number and wire type in a varint, then a
 * varint (type 0), a length and that many bytes (type 2), or four bytes (type 5).
 */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

export class ProtobufWriter {
  readonly #chunks: Uint8Array[] = [];

  /** @param value 0 or more, or -1 */
  int(field: number, value: number): this {
    return this.#push(varint(8 * field + VARINT), varint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#push(varint(8 * field + FIXED_32), bytes);
  }

  string(field: number, text: string): this {
    return this.bytes(field, new TextEncoder().encode(text));
  }

  bytes(field: number, bytes: Uint8Array): this {
    return this.#push(varint(8 * field + LENGTH_DELIMITED), varint(bytes.length), bytes);
  }

  message(field: number, message: ProtobufWriter): this {
    return this.bytes(field, message.finish());
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  #push(...chunks: Uint8Array[]): this {
    for (const chunk of chunks) this.#chunks.push(chunk);
    return this;
  }
}

/** Seven bits a byte, lowest first; -1 as the 64-bit two's complement that protobuf asks for. */
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
