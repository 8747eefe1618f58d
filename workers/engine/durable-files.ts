/** Writes that a power cut cannot tear: a temporary sibling, synced, renamed, and the folder synced. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { wrapFileErrors } from './file-errors.ts';

/** Returns once the names in a folder are on the disk. Systems that cannot sync a folder do it with the file. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Syncs a folder and all folders below it. */
export async function syncFolderTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolderTree(join(path, entry.name));
  }
  await syncFolder(path);
}

/**
 * The old content or the new, never a part of either. The temporary file has a name of its own: other files of the folder
 * are never touched, whatever they are called.
 */
export async function writeFileDurably(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  await wrapFileErrors('write', path, async () => {
    try {
      const handle = await open(temporary, 'wx');
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (cause) {
      // Why it could not be written matters more than what stays behind; nothing takes it for anything else.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw cause;
    }
    await syncFolder(dirname(path));
  });
}

/** Whether there is a file at a path that holds exactly these bytes. */
export async function holdsBytes(path: string, bytes: Uint8Array): Promise<boolean> {
  const facts = await stat(path).catch(() => null);
  if (facts?.isFile() !== true || facts.size !== bytes.length) return false;
  return wrapFileErrors('read', path, async () => Buffer.compare(await readFile(path), bytes) === 0);
}

/**
 * Makes a folder and those around it that are missing. Node's own recursive call tells another error than the real one: a
 * full disk becomes a missing file.
 */
export async function makeFolders(path: string): Promise<void> {
  if (await makeFolder(path)) return;
  await makeFolders(dirname(path));
  // Some places take no folder at all, and still say that one around it is missing.
  await makeFolder(path, true);
}

/** False where a folder around it is missing, unless there cannot be one. */
async function makeFolder(path: string, hasParent = dirname(path) === path): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return true;
    if (code === 'ENOENT' && !hasParent) return false;
    throw error;
  }
}
