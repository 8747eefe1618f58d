import { open, readdir, realpath, stat, type FileHandle } from 'node:fs/promises';
import { FormatError, ResourceError } from '../../core/errors.ts';
import type { FileAccess, FolderEntry } from '../../core/model/file-access.ts';
import { wrapFileErrors } from './file-errors.ts';

/** `FileAccess` over the disk. Handles are closed whatever happens; uses nothing newer than Node 16.17. */
export const nodeFileAccess: FileAccess = {
  async stat(path) {
    return wrapFileErrors('look at', path, async () => {
      try {
        const facts = await stat(path);
        return { kind: facts.isFile() ? 'file' : facts.isDirectory() ? 'folder' : 'other', sizeBytes: facts.size };
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  },

  async list(folder) {
    const entries = await wrapFileErrors('list', folder, () => readdir(folder, { withFileTypes: true }));
    return entries.map((entry): FolderEntry => ({ name: entry.name, kind: kindOf(entry) }));
  },

  async read(path, offsetBytes, sizeBytes) {
    return wrapFileErrors('read', path, async () => {
      // `open` on a pipe would wait for ever for a writer, so look first: `stat` does not open.
      if (!(await stat(path)).isFile()) throw notRegular(path);
      const handle = await open(path, 'r');
      try {
        return await readFully(handle, path, offsetBytes, sizeBytes);
      } finally {
        await handle.close();
      }
    });
  },

  async realPath(path) {
    return wrapFileErrors('follow', path, () => realpath(path));
  },
};

async function readFully(
  handle: FileHandle,
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

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

function notRegular(path: string): ResourceError {
  return new ResourceError({
    code: 'FILE_IO',
    what: `"${path}" is not a regular file.`,
    where: { file: path },
    whatToDo: 'Put a regular file in its place.',
  });
}

function cutShort(path: string, neededBytes: number, foundBytes: number): FormatError {
  return new FormatError({
    code: 'FORMAT_FILE_CUT_SHORT',
    what: `"${path}" has ${foundBytes} bytes, but bytes up to ${neededBytes} are needed.`,
    where: { file: path, byteOffset: foundBytes },
    whatToDo: 'Download or copy this file again.',
  });
}
