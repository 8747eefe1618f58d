import { FormatError, type ErrorCode } from '../../errors.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { quoted } from '../../quoted.ts';
import { decodeUtf8 } from '../../utf8.ts';
import { GgufCursor, type GgufFile } from './gguf-cursor.ts';

/** Every type of a value, in the order of its number. */
const VALUE_TYPES = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const;
export type GgufValueType = (typeof VALUE_TYPES)[number];

/** Bytes of a value, or the fewest it can have. */
const LEAST_BYTES: Readonly<Record<GgufValueType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Real files have 20 to 60. */
const MAX_KEYS = 1 << 16;
/** The specification's limit of a key. */
const MAX_KEY_BYTES = 65_535;
/** A key of one byte, its type, a value of one byte. */
const LEAST_ENTRY_BYTES = 8 + 1 + 4 + 1;
/** Chat templates have up to 100 KB; a whole tokenizer.json, which a key may hold, up to 33 MB. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
/** The largest vocabularies have 300,000 tokens and 520,000 merges. */
const MAX_ITEMS = 1 << 24;
/** No known program nests arrays at all. */
const MAX_DEPTH = 4;

/** Integers above 2^53 are bigints, all others numbers. */
export type GgufScalar = number | bigint | boolean | string;
export type GgufItem = GgufScalar | GgufItem[];

/** A list that stays in the file until `readGgufArray` is asked for it; its items were walked through. */
export interface GgufArray {
  itemType: GgufValueType;
  count: number;
  /** Of the first item in the file. */
  offsetBytes: number;
}

export interface GgufEntry {
  type: GgufValueType;
  value: GgufScalar | GgufArray;
}

export type GgufMetadata = ReadonlyMap<string, GgufEntry>;

/**
 * Reads the keys and values of a GGUF header; of lists only where they are.
 *
 * Source: the GGUF specification, "File Structure", versions 2 and 3. Stricter than ggml in that a bool is 0 or 1.
 * @param count as the header claims it
 * @throws FormatError FORMAT_HEADER_TOO_LARGE, FORMAT_HEADER_OUT_OF_FILE, FORMAT_HEADER_INVALID, FORMAT_HEADER_TOO_DEEP,
 * FORMAT_DUPLICATE_KEY; what the cursor throws
 */
export async function readGgufMetadata(cursor: GgufCursor, count: bigint, file: string): Promise<GgufMetadata> {
  if (count > BigInt(MAX_KEYS)) {
    const found = `the header claims ${count} keys, but at most ${MAX_KEYS} are allowed.`;
    throw refuse('FORMAT_HEADER_TOO_LARGE', file, cursor.position, found);
  }
  const leastBytes = count * BigInt(LEAST_ENTRY_BYTES);
  if (leastBytes > BigInt(cursor.remaining)) throw cursor.outOfFile(leastBytes, `the metadata of ${count} keys`);
  const metadata = new Map<string, GgufEntry>();
  for (let left = Number(count); left > 0; left--) {
    const at = cursor.position;
    const key = await readGgufText(cursor, file, MAX_KEY_BYTES, 'a key');
    if (key === '') throw refuse('FORMAT_HEADER_INVALID', file, at, 'a key is empty.');
    if (metadata.has(key)) {
      throw refuse('FORMAT_DUPLICATE_KEY', file, at, `the key ${quoted(key)} stands a second time.`);
    }
    const what = `the value of ${quoted(key)}`;
    const type = await readType(cursor, file, what);
    metadata.set(key, { type, value: await readValue(cursor, type, file, what) });
  }
  return metadata;
}

/**
 * The items of a list.
 *
 * @throws FormatError FORMAT_HEADER_INVALID (a text is not UTF-8); what `access` throws
 * Cost: reads the list from the file; memory for all its items.
 */
export async function readGgufArray(file: GgufFile, array: GgufArray, access: FileAccess): Promise<GgufItem[]> {
  const cursor = new GgufCursor(file, access, array.offsetBytes);
  return readItems(cursor, array.itemType, array.count, file.file, 'a list');
}

/** A text with its length in front. */
export async function readGgufText(cursor: GgufCursor, file: string, maxBytes: number, what: string): Promise<string> {
  if (!cursor.has(8)) await cursor.need(8, what);
  const at = cursor.position;
  const length = takeTextLength(cursor, file, maxBytes, what);
  if (!cursor.has(length)) await cursor.need(length, what);
  return takeText(cursor, length, file, at, what);
}

/** Its 8 bytes must be available. */
function takeTextLength(cursor: GgufCursor, file: string, maxBytes: number, what: string): number {
  const length = cursor.u64();
  if (length > BigInt(cursor.remaining)) throw cursor.outOfFile(length, what);
  if (length > BigInt(maxBytes)) {
    const found = `${what} claims ${length} bytes of text, but at most ${maxBytes} are allowed.`;
    throw refuse('FORMAT_HEADER_TOO_LARGE', file, cursor.position, found);
  }
  return Number(length);
}

/** Its bytes must be available. */
function takeText(cursor: GgufCursor, length: number, file: string, at: number, what: string): string {
  const text = decodeUtf8(cursor.bytes(length));
  if (text === null) throw refuse('FORMAT_HEADER_INVALID', file, at, `${what} is not valid UTF-8.`);
  return text;
}

async function readType(cursor: GgufCursor, file: string, what: string): Promise<GgufValueType> {
  const at = cursor.position;
  await cursor.need(4, what);
  const id = cursor.u32();
  const type = VALUE_TYPES[id];
  if (type !== undefined) return type;
  const found = `${what} has the unknown type ${id}, expected 0 to ${VALUE_TYPES.length - 1}.`;
  throw refuse('FORMAT_HEADER_INVALID', file, at, found);
}

async function readValue(
  cursor: GgufCursor,
  type: GgufValueType,
  file: string,
  what: string,
): Promise<GgufEntry['value']> {
  if (type === 'string') return readGgufText(cursor, file, MAX_TEXT_BYTES, what);
  if (type !== 'array') {
    await cursor.need(LEAST_BYTES[type], what);
    return scalarAt(cursor, type, file, what);
  }
  const { itemType, count } = await readArrayHead(cursor, file, what);
  const array: GgufArray = { itemType, count, offsetBytes: cursor.position };
  await walkItems(cursor, itemType, count, file, what, 1);
  return array;
}

async function readArrayHead(cursor: GgufCursor, file: string, what: string) {
  const itemType = await readType(cursor, file, what);
  await cursor.need(8, what);
  const count = cursor.u64();
  // A law of nature: the file cannot hold more items than it has bytes for.
  const leastBytes = count * BigInt(LEAST_BYTES[itemType]);
  if (leastBytes > BigInt(cursor.remaining)) throw cursor.outOfFile(leastBytes, `${what}, a list of ${count} items,`);
  if (count > BigInt(MAX_ITEMS)) {
    const found = `${what} is a list of ${count} items, but at most ${MAX_ITEMS} are allowed.`;
    throw refuse('FORMAT_HEADER_TOO_LARGE', file, cursor.position, found);
  }
  return { itemType, count: Number(count) };
}

/** Goes past items after a check of every length; the bytes of texts and numbers are not looked at. */
async function walkItems(
  cursor: GgufCursor,
  type: GgufValueType,
  count: number,
  file: string,
  what: string,
  depth: number,
): Promise<void> {
  if (type === 'string') {
    for (let left = count; left > 0; left--) {
      if (!cursor.has(8)) await cursor.need(8, what);
      cursor.skip(takeTextLength(cursor, file, MAX_TEXT_BYTES, what));
    }
    return;
  }
  if (type !== 'array') {
    cursor.skip(count * LEAST_BYTES[type]);
    return;
  }
  if (depth >= MAX_DEPTH) {
    const found = `${what} is nested more than ${MAX_DEPTH} levels deep.`;
    throw refuse('FORMAT_HEADER_TOO_DEEP', file, cursor.position, found);
  }
  for (let left = count; left > 0; left--) {
    const head = await readArrayHead(cursor, file, what);
    await walkItems(cursor, head.itemType, head.count, file, what, depth + 1);
  }
}

async function readItems(
  cursor: GgufCursor,
  type: GgufValueType,
  count: number,
  file: string,
  what: string,
): Promise<GgufItem[]> {
  const items: GgufItem[] = [];
  for (let left = count; left > 0; left--) {
    if (type === 'string') {
      if (!cursor.has(8)) await cursor.need(8, what);
      const at = cursor.position;
      const length = takeTextLength(cursor, file, MAX_TEXT_BYTES, what);
      if (!cursor.has(length)) await cursor.need(length, what);
      items.push(takeText(cursor, length, file, at, what));
    } else if (type === 'array') {
      const head = await readArrayHead(cursor, file, what);
      items.push(await readItems(cursor, head.itemType, head.count, file, what));
    } else {
      if (!cursor.has(LEAST_BYTES[type])) await cursor.need(LEAST_BYTES[type], what);
      items.push(scalarAt(cursor, type, file, what));
    }
  }
  return items;
}

function scalarAt(
  cursor: GgufCursor,
  type: Exclude<GgufValueType, 'string' | 'array'>,
  file: string,
  what: string,
): GgufScalar {
  const { view, at } = cursor.view(LEAST_BYTES[type]);
  switch (type) {
    case 'u8':
      return view.getUint8(at);
    case 'i8':
      return view.getInt8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'i16':
      return view.getInt16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'i32':
      return view.getInt32(at, true);
    case 'f32':
      return view.getFloat32(at, true);
    case 'f64':
      return view.getFloat64(at, true);
    case 'u64':
      return exact(view.getBigUint64(at, true));
    case 'i64':
      return exact(view.getBigInt64(at, true));
    case 'bool': {
      const byte = view.getUint8(at);
      if (byte <= 1) return byte === 1;
      const found = `${what} is a bool of byte ${byte}, expected 0 or 1.`;
      throw refuse('FORMAT_HEADER_INVALID', file, cursor.position - 1, found);
    }
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function refuse(code: ErrorCode, file: string, byteOffset: number, found: string): FormatError {
  return new FormatError({
    code,
    what: `${quoted(file)}: at byte ${byteOffset}, ${found}`,
    where: { file, byteOffset },
    whatToDo: 'Download this file again, or ask who made it.',
  });
}
