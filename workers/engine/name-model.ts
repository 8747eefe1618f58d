import { basename, isAbsolute } from 'node:path';
import { WorkbenchError } from '../../core/errors.ts';

/**
 * Opens a model, and lets its errors say which one it was: of two models both have a "config.json", and tensors of the
 * same names.
 *
 * @param path as the user named it: a folder, or a file
 */
export async function withModelNamed<T>(path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof WorkbenchError)) throw error;
    const { code, what, where, whatToDo, retryable } = error;
    const file = placeIn(path, where.file);
    if (file === where.file) throw error;
    throw new WorkbenchError({ code, what, where: { ...where, file }, whatToDo, retryable, cause: error });
  }
}

function placeIn(path: string, file: string | undefined): string {
  if (file === undefined || file === basename(path)) return path;
  return isAbsolute(file) || file.startsWith(path) ? file : `${path.replace(/\/+$/, '')}/${file}`;
}
