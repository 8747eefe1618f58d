import { FormatError } from '../../errors.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { quoted } from '../../quoted.ts';

/** A GGUF file that is being read. */
export interface GgufFile {
  /** As the access takes it. */
  path: string;
  /** As messages show it. */
  file: string;
  sizeBytes: number;
}

/** The first piece holds most keys; vocabularies of 10 MB and more come in the larger ones. */
const FIRST_PIECE_BYTES = 64 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** The largest published headers have about 20 MB, nearly all of it tokens and merges. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;

/**
 * Reads a file from front to back in bounded pieces. Numbers are little-endian.
 *
 * `need(n)` makes the next n bytes available, or refuses; only then may as many be taken. The two are apart so that a
 * million short strings cost no million promises: callers ask `has(n)` first.
 */
export class GgufCursor {
  readonly #file: GgufFile;
  readonly #access: FileAccess;
  #piece: DataView = new DataView(new ArrayBuffer(0));
  /** Of the piece's first byte in the file. */
  #pieceStart = 0;
  #position: number;

  constructor(file: GgufFile, access: FileAccess, positionBytes = 0) {
    this.#file = file;
    this.#access = access;
    this.#position = positionBytes;
    this.#pieceStart = positionBytes;
  }

  /** Of the next byte in the file. */
  get position(): number {
    return this.#position;
  }

  /** Bytes of the file that are not read yet. */
  get remaining(): number {
    return this.#file.sizeBytes - this.#position;
  }

  has(bytes: number): boolean {
    return this.#position + bytes <= this.#pieceStart + this.#piece.byteLength;
  }

  /**
   * @throws FormatError FORMAT_HEADER_OUT_OF_FILE, FORMAT_HEADER_TOO_LARGE, before anything of that size is allocated;
   * what `access` throws
   */
  async need(bytes: number, what: string): Promise<void> {
    if (this.has(bytes)) return;
    if (bytes > this.remaining) throw this.outOfFile(BigInt(bytes), what);
    if (this.#position + bytes > MAX_HEADER_BYTES) {
      throw new FormatError({
        code: 'FORMAT_HEADER_TOO_LARGE',
        what: `${quoted(this.#file.file)}: ${what} ends at byte ${this.#position + bytes}, but a header may have at most ${MAX_HEADER_BYTES} bytes.`,
        where: { file: this.#file.file, byteOffset: this.#position },
        whatToDo: 'Do not use this file: no known program writes such a header.',
      });
    }
    const usual = this.#position < FIRST_PIECE_BYTES && this.#piece.byteLength === 0 ? FIRST_PIECE_BYTES : PIECE_BYTES;
    const size = Math.min(this.remaining, Math.max(bytes, usual));
    const piece = await this.#access.read(this.#file.path, this.#position, size);
    this.#piece = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    this.#pieceStart = this.#position;
  }

  /** Goes on without reading; the bytes must be in the file. */
  skip(bytes: number): void {
    this.#position += bytes;
  }

  u8(): number {
    return this.#piece.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#piece.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#piece.getBigUint64(this.#take(8), true);
  }

  /** A view of the piece: good until the next `need`. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return new Uint8Array(this.#piece.buffer, this.#piece.byteOffset + start, length);
  }

  /** The piece and where in it the next bytes lie, which are taken. */
  view(length: number): { view: DataView; at: number } {
    return { view: this.#piece, at: this.#take(length) };
  }

  /** The error for something that claims more bytes than the file has left. */
  outOfFile(bytes: bigint, what: string): FormatError {
    const { file, sizeBytes } = this.#file;
    return new FormatError({
      code: 'FORMAT_HEADER_OUT_OF_FILE',
      what: `${quoted(file)}: at byte ${this.#position}, ${what} takes ${bytes} bytes, but the file ends at byte ${sizeBytes}.`,
      where: { file, byteOffset: this.#position },
      whatToDo: 'The file is cut short or damaged: download it again.',
    });
  }

  #take(bytes: number): number {
    const at = this.#position - this.#pieceStart;
    this.#position += bytes;
    return at;
  }
}
