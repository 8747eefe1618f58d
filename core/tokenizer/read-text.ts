import { FormatError, ResourceError } from '../errors.ts';
import type { FileAccess } from '../model/file-access.ts';
import { quoted } from '../quoted.ts';
import { formatBytes } from '../units.ts';
import { decodeUtf8 } from '../utf8.ts';

/** A JavaScript text has at most some 2^29 units, and its tokens take several times its bytes. */
const MAX_TEXT_BYTES = 256 << 20;

/**
 * Reads a text file as it is: line ends and a byte order mark are kept, because they are part of what is tokenised.
 *
 * @throws FormatError TEXT_NOT_UTF8 with the byte offset, TEXT_TOO_LARGE; ResourceError FILE_NOT_FOUND, FILE_IO; what
 * `access` throws
 */
export async function readText(path: string, access: FileAccess): Promise<{ text: string; bytes: Uint8Array }> {
  const facts = await access.stat(path);
  if (facts === null) {
    throw new ResourceError({
      code: 'FILE_NOT_FOUND',
      what: `The text ${quoted(path)} does not exist.`,
      where: { file: path },
      whatToDo: 'Check the path.',
    });
  }
  if (facts.kind !== 'file') {
    throw new ResourceError({
      code: 'FILE_IO',
      what: `The text ${quoted(path)} is not a regular file.`,
      where: { file: path },
      whatToDo: 'Name a file of UTF-8 text.',
    });
  }
  if (facts.sizeBytes > MAX_TEXT_BYTES) {
    throw new FormatError({
      code: 'TEXT_TOO_LARGE',
      what: `The text ${quoted(path)} has ${formatBytes(facts.sizeBytes)}; the limit is ${formatBytes(MAX_TEXT_BYTES)}.`,
      where: { file: path },
      whatToDo: 'Cut it into files of that size: each of them is evaluated on its own.',
    });
  }
  const bytes = await access.read(path, 0, facts.sizeBytes);
  const text = decodeUtf8(bytes);
  if (text !== null) return { text, bytes };
  const byteOffset = firstInvalidByte(bytes);
  throw new FormatError({
    code: 'TEXT_NOT_UTF8',
    what: `The text ${quoted(path)} is not UTF-8: at byte ${byteOffset} stands 0x${(bytes[byteOffset] ?? 0).toString(16).padStart(2, '0')}.`,
    where: { file: path, byteOffset },
    whatToDo: 'Convert it to UTF-8, for example with iconv.',
  });
}

/**
 * Where the first sequence begins that is not UTF-8; the length where all are.
 *
 * Source: The Unicode Standard 16.0, table 3-7 ("Well-Formed UTF-8 Byte Sequences").
 */
export function firstInvalidByte(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return at;
}

/** Of the well-formed sequence at a position; 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const [first = 0, second = 0] = bytes.subarray(at, at + 2);
  if (first < 0x80) return 1;
  const length = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (length === 0 || second < lowest || second > highest) return 0;
  for (let next = 2; next < length; next++) {
    const byte = bytes[at + next] ?? 0;
    if (byte < 0x80 || byte > 0xbf) return 0;
  }
  return length;
}
