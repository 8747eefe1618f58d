import type { Dirent } from 'node:fs';
import { opendir, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { FolderListing, ListedEntry } from '../../core/contract/desk.ts';
import { isGgufName, isSafetensorsName, isSplitPlaneName } from '../../core/model/file-kinds.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';

/** Nobody looks through more; a folder of a million files must not become a message of a million entries. */
const MAX_ENTRIES = 5000;
/** Models have their marks among few files; a folder of more is not looked through to its end. */
const MAX_LOOKED_AT = 2000;
/** Looks at the disk at once. */
const LOOKS_AT_ONCE = 16;

/**
 * What is in a folder, for a person who looks for a model. Links are followed; hidden entries, and what is neither folder nor
 * file, are left out.
 *
 * @throws ModelError FILE_NOT_FOUND; ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function listFolder(path: string): Promise<FolderListing> {
  const folder = resolve(path);
  const found = await wrapFileErrors('list', folder, () => readdir(folder, { withFileTypes: true }));
  const shown = found.filter(({ name }) => !name.startsWith('.')).sort(byKindAndName);
  const entries: ListedEntry[] = [];
  const kept = shown.slice(0, MAX_ENTRIES);
  for (let at = 0; at < kept.length; at += LOOKS_AT_ONCE) {
    const looks = kept.slice(at, at + LOOKS_AT_ONCE).map(({ name }) => lookAt(folder, name));
    for (const entry of await Promise.all(looks)) if (entry !== null) entries.push(entry);
  }
  const parent = dirname(folder);
  return {
    path: folder,
    parent: parent === folder ? null : parent,
    // Links are known by now for what they lead to.
    entries: entries.sort((one, other) => Number(one.kind === 'file') - Number(other.kind === 'file')),
    more: shown.length - kept.length,
  };
}

/** Null for what is gone, leads nowhere, or is neither folder nor file. */
async function lookAt(folder: string, name: string): Promise<ListedEntry | null> {
  const path = join(folder, name);
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) return { name, kind: 'folder', sizeBytes: 0, isModel: await isModelFolder(path) };
    if (!facts.isFile()) return null;
    return { name, kind: 'file', sizeBytes: facts.size, isModel: isGgufName(name) || isSafetensorsName(name) };
  } catch {
    return null;
  }
}

/** By the names at its top. False where it cannot be read. */
async function isModelFolder(path: string): Promise<boolean> {
  let hasConfig = false;
  let hasSafetensors = false;
  let looked = 0;
  try {
    for await (const { name } of await opendir(path)) {
      if (isGgufName(name) || isSplitPlaneName(name) || name === 'lathe.json') return true;
      hasConfig ||= name === 'config.json';
      hasSafetensors ||= isSafetensorsName(name);
      if (hasConfig && hasSafetensors) return true;
      if (++looked >= MAX_LOOKED_AT) return false;
    }
  } catch {
    // A folder that one may not look into is still one that is there.
  }
  return false;
}

/** Folders and links first, so that the cut leaves files out rather than ways on. */
function byKindAndName(one: Dirent, other: Dirent): number {
  const kinds = Number(one.isFile()) - Number(other.isFile());
  return kinds !== 0 ? kinds : NAMES.compare(one.name, other.name);
}

const NAMES = new Intl.Collator('en', { numeric: true });
