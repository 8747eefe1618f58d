import { ModelError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import { isPlainRelativePath } from '../relative-path.ts';
import { compareByCodePoint } from '../utf8.ts';
import { mapBounded } from './bounded-map.ts';
import type { FileAccess } from './file-access.ts';

/** Deeper trees are loops of mounts, not models. */
const MAX_FOLDER_DEPTH = 32;
/** Model folders have tens of files; this stops a walk over somebody's whole disk. */
const MAX_FILES = 100_000;
/** Files looked at in one go: enough to hide the latency of a network disk. */
const STATS_AT_ONCE = 16;

export interface FolderFile {
  /** Relative to the root, parts joined by `/`. */
  path: string;
  sizeBytes: number;
}

export interface FolderTree {
  /** Sorted by path. */
  files: FolderFile[];
  /** Folders without any entry, sorted. */
  emptyFolders: string[];
}

/**
 * Lists every file below a folder. Links to files inside the folder count as files; nothing is opened.
 *
 * @param root absolute, without links
 * @throws ModelError MODEL_FILE_OUTSIDE_FOLDER (a link leads out), MODEL_NOT_A_FILE (pipes, sockets, devices, links to
 * nothing or to folders), MODEL_UNKNOWN_KIND (far too many files to be a model, a name that leads out of its folder on
 * some system)
 */
export async function walkModelFolder(root: string, access: FileAccess): Promise<FolderTree> {
  const tree: FolderTree = { files: [], emptyFolders: [] };
  const visit = async (folder: string, depth: number): Promise<void> => {
    const entries = await access.list(folder === '' ? root : `${root}/${folder}`);
    if (entries.length === 0 && folder !== '') tree.emptyFolders.push(folder);
    if (depth > MAX_FOLDER_DEPTH || tree.files.length + entries.length > MAX_FILES) {
      throw new ModelError({
        code: 'MODEL_UNKNOWN_KIND',
        what: `${quoted(root)} holds more than ${MAX_FILES} files, or folders more than ${MAX_FOLDER_DEPTH} levels deep.`,
        where: { file: root },
        whatToDo: 'Name the folder of one model.',
      });
    }
    const places = entries.map(({ name, kind }) => ({ path: folder === '' ? name : `${folder}/${name}`, kind }));
    for (const { path, kind } of places) {
      if (!isPlainRelativePath(path)) throw unportable(path);
      if (kind === 'other') throw notAFile(path, 'is a pipe, a socket or a device');
    }
    const files = await mapBounded(
      places.filter(({ kind }) => kind !== 'folder'),
      STATS_AT_ONCE,
      async ({ path, kind }) => ({ path, sizeBytes: await regularFileSize(root, path, access, kind === 'link') }),
    );
    for (const file of files) tree.files.push(file);
    for (const { path, kind } of places) if (kind === 'folder') await visit(path, depth + 1);
  };
  await visit('', 0);
  tree.files.sort((a, b) => compareByCodePoint(a.path, b.path));
  tree.emptyFolders.sort(compareByCodePoint);
  return tree;
}

/**
 * The size of a file of a model folder, after the check that it is a regular file whose bytes lie inside that folder.
 *
 * @param mayBeLink false where a listing of the folder said that the entry is none
 * @throws ModelError MODEL_NOT_A_FILE, MODEL_FILE_OUTSIDE_FOLDER
 */
export async function regularFileSize(
  root: string,
  path: string,
  access: FileAccess,
  mayBeLink = true,
): Promise<number> {
  const facts = await access.stat(`${root}/${path}`);
  if (facts === null) throw notAFile(path, 'is a link that leads to nothing');
  const target = mayBeLink ? await access.realPath(`${root}/${path}`) : null;
  if (target !== null && !isInside(root, target)) {
    throw new ModelError({
      code: 'MODEL_FILE_OUTSIDE_FOLDER',
      what: `${quoted(path)} is a link to ${quoted(target)}, outside the model's folder.`,
      where: { file: path },
      whatToDo: `Copy the model with its links resolved, for example with \`cp -rL "${root}" COPY\`, and name the copy.`,
    });
  }
  if (facts.kind === 'folder') throw notAFile(path, 'is a folder, or a link to one');
  if (facts.kind === 'other') throw notAFile(path, 'is a pipe, a socket or a device');
  return facts.sizeBytes;
}

function isInside(root: string, target: string): boolean {
  if (target === root || !target.startsWith(root)) return false;
  const next = target[root.length];
  return next === '/' || next === '\\' || root.endsWith('/') || root.endsWith('\\');
}

function unportable(path: string): ModelError {
  return new ModelError({
    code: 'MODEL_UNKNOWN_KIND',
    what: `${quoted(path)} has a backslash or a drive letter in its name, which leads elsewhere on some systems.`,
    where: { file: path },
    whatToDo: 'Rename this file or folder.',
  });
}

function notAFile(path: string, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_NOT_A_FILE',
    what: `${quoted(path)} ${found}, expected a regular file.`,
    where: { file: path },
    whatToDo: 'Remove it from the model folder, or put a regular file in its place.',
  });
}
