/** Lines of a file that may hold anything: read by chunks, so that no size in it or of it decides what is allocated. */
import { open, stat, type FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 64 << 10;
/** Far above any line of ours; a longer one is passed over without being kept. */
const MAX_LINE_BYTES = 16 << 20;
const NEWLINE = 0x0a;

/**
 * Calls back with every line, in order, until it answers `stop`; with null for one that is too long. An end without a line
 * feed counts as a line, unless it is empty.
 *
 * @param from offset of the first byte
 */
export async function eachLine(
  path: string,
  onLine: (line: string | null) => 'stop' | undefined,
  { from = 0, maxLineBytes = MAX_LINE_BYTES }: { from?: number; maxLineBytes?: number } = {},
): Promise<void> {
  // `open` on a pipe would wait for ever for a writer, so look first: `stat` does not open.
  if (!(await stat(path)).isFile()) throw new Error('it is not a regular file');
  const handle = await open(path, 'r');
  try {
    await readLines(handle, onLine, from, maxLineBytes);
  } finally {
    await handle.close();
  }
}

async function readLines(
  handle: FileHandle,
  onLine: (line: string | null) => 'stop' | undefined,
  from: number,
  maxLineBytes: number,
): Promise<void> {
  let parts: Uint8Array[] = [];
  let lineBytes = 0;
  let at = from;
  function keep(part: Uint8Array): void {
    lineBytes += part.length;
    if (lineBytes > maxLineBytes) parts = [];
    else if (part.length > 0) parts.push(part);
  }
  function endLine(): 'stop' | undefined {
    const line = lineBytes > maxLineBytes ? null : Buffer.concat(parts).toString('utf8');
    parts = [];
    lineBytes = 0;
    return onLine(line);
  }
  for (;;) {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    let start = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0 && end < bytesRead; end = buffer.indexOf(NEWLINE, start)) {
      keep(buffer.subarray(start, end));
      if (endLine() === 'stop') return;
      start = end + 1;
    }
    keep(buffer.subarray(start, bytesRead));
  }
  if (lineBytes > 0) endLine();
}
