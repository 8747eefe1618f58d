import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { wrapFileErrors } from './file-errors.ts';

/**
 * Removes from a growing output what the finished one does not have: temporary files of a run that was killed.
 *
 * @param expected relative paths in posix form
 */
export async function removeStrangers(folder: string, expected: readonly string[]): Promise<void> {
  const keep = new Set(expected);
  await wrapFileErrors('clean up', folder, () => visit(''));

  async function visit(relative: string): Promise<void> {
    for (const entry of await readdir(join(folder, relative), { withFileTypes: true })) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) await visit(path);
      else if (!keep.has(path)) await rm(join(folder, path));
    }
  }
}
