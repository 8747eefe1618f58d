import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';

/** Bytes that can still be written where a path is or would be; null where the system does not tell. */
export async function freeDiskBytes(path: string, kernels: Pick<Kernels, 'freeDiskBytes'>): Promise<number | null> {
  let existing = resolve(path);
  while ((await stat(existing).catch(() => null)) === null && dirname(existing) !== existing) {
    existing = dirname(existing);
  }
  try {
    return kernels.freeDiskBytes(existing);
  } catch (error) {
    // What cannot be told is no reason to refuse: writing says so if there is no room.
    if (error instanceof WorkbenchError) return null;
    throw error;
  }
}
