/** `lathe.json` on the disk. */
import { createHash } from 'node:crypto';
import {
  LATHE_FILE_NAME,
  MAX_LATHE_FILE_BYTES,
  parseLatheFile,
  type LatheFile,
} from '../../core/contract/lathe-file.ts';
import { FormatError } from '../../core/errors.ts';
import type { FileFacts } from '../../core/model/file-access.ts';
import { decodeUtf8 } from '../../core/utf8.ts';
import { nodeFileAccess } from './node-file-access.ts';

export function sha256Hex(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * Reads the `lathe.json` of a folder; null if there is none.
 *
 * @throws FormatError FORMAT_LATHE_JSON_INVALID
 */
export async function readLatheFile(folder: string): Promise<LatheFile | null> {
  const path = `${folder}/${LATHE_FILE_NAME}`;
  const facts = await nodeFileAccess.stat(path);
  if (facts === null) return null;
  if (!isReadable(facts)) throw invalid(path, `is no file of at most ${MAX_LATHE_FILE_BYTES} bytes`);
  const text = decodeUtf8(await nodeFileAccess.read(path, 0, facts.sizeBytes));
  if (text === null) throw invalid(path, 'is not valid UTF-8');
  return parseLatheFile(text, path, sha256Hex);
}

/** SHA-256 of the `lathe.json` of a folder, whatever stands in it; null if there is no such file. */
export async function latheFileSha256(folder: string): Promise<string | null> {
  const path = `${folder}/${LATHE_FILE_NAME}`;
  const facts = await nodeFileAccess.stat(path);
  if (facts === null || !isReadable(facts)) return null;
  return sha256Hex(await nodeFileAccess.read(path, 0, facts.sizeBytes));
}

function isReadable({ kind, sizeBytes }: FileFacts): boolean {
  return kind === 'file' && sizeBytes <= MAX_LATHE_FILE_BYTES;
}

function invalid(path: string, found: string): FormatError {
  return new FormatError({
    code: 'FORMAT_LATHE_JSON_INVALID',
    what: `"${path}" ${found}.`,
    where: { file: path },
    whatToDo: 'Get the compressed folder again, lathe.json included.',
  });
}

export function toBase64(parts: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...parts].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]));
}

export function fromBase64(parts: Record<string, string>): Map<string, Uint8Array> {
  return new Map(Object.entries(parts).map(([path, text]) => [path, new Uint8Array(Buffer.from(text, 'base64'))]));
}
