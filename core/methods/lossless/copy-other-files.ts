import type { FolderFile } from '../../model/model-folder.ts';
import { groupBySize } from './group-by-size.ts';
import type { SourceFile, WorkContext, WorkItem, WorkRecords } from './work.ts';

/** Files copied under one journal record: a record costs a sync, so small files share one. */
const GROUP_BYTES = 64 << 20;

/** A file of the source that goes into the output as it is. */
export interface PlacedFile {
  file: FolderFile;
  /** Path in the output. */
  to: string;
}

/**
 * Gives every other file its place in the output: its own path, or with `.kept` after the part of it that a reader of the
 * output would take for something else.
 */
export function placeOtherFiles(files: readonly FolderFile[], isTaken: (path: string) => boolean): PlacedFile[] {
  const used = new Set(files.map(({ path }) => path.toLowerCase()));
  return files.map((file) => {
    const taken = foldersAndFile(file.path).find(isTaken);
    if (taken === undefined) return { file, to: file.path };
    const rest = file.path.slice(taken.length);
    const isUsed = (path: string) => used.has(path.toLowerCase());
    let kept = `${taken}.kept`;
    while (isTaken(kept) || isUsed(kept) || isUsed(kept + rest)) kept += '.kept';
    used.add((kept + rest).toLowerCase());
    return { file, to: kept + rest };
  });
}

/** Of `a/b/c` these are `a`, `a/b` and `a/b/c`. */
function foldersAndFile(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** Work items that copy files unchanged; each record has the SHA-256 of what was read. */
export function copyItems(placed: readonly PlacedFile[], context: WorkContext): WorkItem[] {
  const { kernels, files, access, model, folder, call } = context;
  return groupBySize(placed, ({ file }) => file.sizeBytes, GROUP_BYTES).map((group, index) => ({
    key: `copy:${index}`,
    label: group.length === 1 ? (group[0]?.to ?? '') : `${group.length} other files`,
    workBytes: group.reduce((sum, { file }) => sum + file.sizeBytes, 0),
    async run() {
      const copied: SourceFile[] = [];
      for (const { file, to } of group) {
        const target = await files.prepare(folder, to);
        const { sizeBytes, sha256 } = await kernels.copyFile(`${model.root}/${file.path}`, target, call());
        copied.push({ path: file.path, bytes: sizeBytes, sha256 });
      }
      return { copied };
    },
    async holds(record) {
      const copied = record['copied'] as SourceFile[];
      for (const [at, { to }] of group.entries()) {
        if ((await access.stat(`${folder}/${to}`))?.sizeBytes !== copied[at]?.bytes) return false;
      }
      return true;
    },
  }));
}

/** The digests of all copied files, from the records of `copyItems`. */
export function copiedFiles(items: readonly WorkItem[], records: WorkRecords): SourceFile[] {
  return items.flatMap(({ key }) => (records.get(key)?.['copied'] ?? []) as SourceFile[]);
}
