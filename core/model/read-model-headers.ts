import { FormatError } from '../errors.ts';
import {
  parseSafetensorsHeader,
  readHeaderLength,
  type SafetensorsHeader,
} from '../formats/safetensors/safetensors-header.ts';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
  type SplitPlaneHeader,
} from '../formats/split-plane/split-plane-header.ts';
import { quoted } from '../quoted.ts';
import type { FileAccess } from './file-access.ts';
import type { FolderFile } from './model-folder.ts';

/** Most headers fit: those of 5 GB shards have 5 to 15 KB. */
const FIRST_READ_BYTES = 16 * 1024;
/** The headers of the largest published models have about 30 MB together; 100 files may not claim 100 MB each. */
const MAX_ALL_HEADERS_BYTES = 256 * 1024 * 1024;

/** What the headers of one model may still take together. */
export interface HeaderBudget {
  bytesLeft: number;
}

export function newHeaderBudget(): HeaderBudget {
  return { bytesLeft: MAX_ALL_HEADERS_BYTES };
}

/**
 * Reads and checks the header of one safetensors file.
 *
 * @throws FormatError as `readHeaderLength` and `parseSafetensorsHeader`, FORMAT_HEADER_TOO_LARGE also where the budget
 * is spent; what `access` throws
 * Cost: one read, two where the header is longer than 16 KB.
 */
export async function readSafetensorsHeader(
  root: string,
  file: FolderFile,
  access: FileAccess,
  budget: HeaderBudget,
): Promise<SafetensorsHeader> {
  const origin = { file: file.path, fileSizeBytes: file.sizeBytes };
  const path = `${root}/${file.path}`;
  const first = await access.read(path, 0, Math.min(FIRST_READ_BYTES, file.sizeBytes));
  const length = readHeaderLength(first.subarray(0, 8), origin);
  return parseSafetensorsHeader(await readRest(path, first, 8, spend(length, file, budget), access), origin);
}

/**
 * Reads and checks the header of one `.splane` file.
 *
 * @throws FormatError as `readSplitPlaneHeaderLength` and `parseSplitPlaneHeader`, FORMAT_HEADER_TOO_LARGE also where the
 * budget is spent; what `access` throws
 * Cost: one read, two where the header is longer than 16 KB.
 */
export async function readSplitPlaneHeader(
  root: string,
  file: FolderFile,
  access: FileAccess,
  budget: HeaderBudget,
): Promise<SplitPlaneHeader> {
  const origin = { file: file.path, fileSizeBytes: file.sizeBytes };
  const path = `${root}/${file.path}`;
  const first = await access.read(path, 0, Math.min(FIRST_READ_BYTES, file.sizeBytes));
  const length = readSplitPlaneHeaderLength(first.subarray(0, 16), origin);
  return parseSplitPlaneHeader(await readRest(path, first, 16, spend(length, file, budget), access), origin);
}

/** `length` bytes from `start` on, out of what was read first if they are all there. */
async function readRest(
  path: string,
  first: Uint8Array,
  start: number,
  length: number,
  access: FileAccess,
): Promise<Uint8Array> {
  return start + length <= first.length ? first.subarray(start, start + length) : access.read(path, start, length);
}

function spend(length: number, { path }: FolderFile, budget: HeaderBudget): number {
  budget.bytesLeft -= length;
  if (budget.bytesLeft >= 0) return length;
  throw new FormatError({
    code: 'FORMAT_HEADER_TOO_LARGE',
    what: `${quoted(path)}: with this file the model's headers take more than the limit of ${MAX_ALL_HEADERS_BYTES} bytes together.`,
    where: { file: path, byteOffset: 0 },
    whatToDo: 'Do not use this model: no known program writes such headers.',
  });
}
