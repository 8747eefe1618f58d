/** Small writes through node:fs; every handle is closed on every path. */
import { open, rename, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OutputFiles } from '../../core/methods/lossless/work.ts';
import { makeFolders, writeFileDurably } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';

export const nodeOutputFiles: OutputFiles = {
  prepare: (folder, relativePath) =>
    wrapFileErrors('make a folder for', join(folder, relativePath), async () => {
      const path = join(folder, ...relativePath.split('/'));
      await makeFolders(dirname(path));
      return path;
    }),
  setSize: (path, sizeBytes) =>
    wrapFileErrors('write', path, async () => {
      const handle = await open(path, 'a');
      await handle.close();
      await truncate(path, sizeBytes);
    }),
  writeAt: (path, bytes, offsetBytes) =>
    wrapFileErrors('write', path, async () => {
      const handle = await open(path, 'r+');
      try {
        let written = 0;
        while (written < bytes.length) {
          const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, offsetBytes + written);
          written += bytesWritten;
        }
      } finally {
        await handle.close();
      }
    }),
  writeFile: (path, bytes) => writeFileDurably(path, bytes),
  makeFolder: (path) => wrapFileErrors('make the folder', path, () => makeFolders(path)),
  rename: (from, to) => wrapFileErrors('rename', from, () => rename(from, to)),
};
