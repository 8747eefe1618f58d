import { open, readdir, realpath, stat } from 'node:fs/promises';
import { FormatError, ResourceError } from '../../core/errors.ts';
import type { FileAccess, FolderEntry } from '../../core/model/file-access.ts';

/** `FileAccess` over the disk. Handles are closed whatever happens; uses nothing newer than Node 16.17. */
export const nodeFileAccess: FileAccess = {
  async stat(path) {
    try {
      const facts = await stat(path);
      return { kind: facts.isFile() ? 'file' : facts.isDirectory() ? 'folder' : 'other', sizeBytes: facts.size };
    } catch (error) {
      if (isMissing(error)) return null;
      throw fileError(error, path);
    }
  },

  async list(folder) {
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.map((entry): FolderEntry => ({ name: entry.name, kind: kindOf(entry) }));
    } catch (error) {
      throw fileError(error, folder);
    }
  },

  async read(path, offsetBytes, sizeBytes) {
    try {
      // `open` on a pipe would wait for ever for a writer, so look first: `stat` does not open.
      if (!(await stat(path)).isFile()) throw new Error('not a regular file');
      const handle = await open(path, 'r');
      try {
        return await readFully(handle, path, offsetBytes, sizeBytes);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw fileError(error, path);
    }
  },

  async realPath(path) {
    try {
      return await realpath(path);
    } catch (error) {
      throw fileError(error, path);
    }
  },
};

async function readFully(
  handle: Awaited<ReturnType<typeof open>>,
  path: string,
  offsetBytes: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  const facts = await handle.stat();
  if (offsetBytes + sizeBytes > facts.size) throw cutShort(path, offsetBytes + sizeBytes, facts.size);
  const bytes = new Uint8Array(sizeBytes);
  let filled = 0;
  while (filled < sizeBytes) {
    const { bytesRead } = await handle.read(bytes, filled, sizeBytes - filled, offsetBytes + filled);
    if (bytesRead === 0) throw cutShort(path, offsetBytes + sizeBytes, offsetBytes + filled);
    filled += bytesRead;
  }
  return bytes;
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): FolderEntry['kind'] {
  if (entry.isSymbolicLink()) return 'link';
  return entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other';
}

function cutShort(path: string, neededBytes: number, foundBytes: number): FormatError {
  return new FormatError({
    code: 'FORMAT_FILE_CUT_SHORT',
    what: `"${path}" has ${foundBytes} bytes, but bytes up to ${neededBytes} are needed.`,
    where: { file: path, byteOffset: foundBytes },
    whatToDo: 'Download or copy this file again.',
  });
}

function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function isMissing(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function fileError(error: unknown, path: string): Error {
  if (error instanceof FormatError || error instanceof ResourceError) return error;
  const code = systemCodeOf(error);
  const isDenied = code === 'EACCES' || code === 'EPERM';
  return new ResourceError({
    code: isDenied ? 'FILE_PERMISSION_DENIED' : 'FILE_IO',
    what: `"${path}" cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    where: { file: path },
    whatToDo: isDenied ? 'Give yourself the right to read it.' : 'Check the disk, then try again.',
    retryable: !isDenied,
    cause: error,
  });
}
