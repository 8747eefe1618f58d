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
 * Gives every other file its place in the output: its own path, or with `.kept` at the end where a reader of the output
 * would take that name for something else.
 */
export function placeOtherFiles(files: readonly FolderFile[], isTaken: (path: string) => boolean): PlacedFile[] {
  const used = new Set(files.map(({ path }) => path.toLowerCase()));
  return files.map((file) => {
    if (!isTaken(file.path)) return { file, to: file.path };
    let to = `${file.path}.kept`;
    while (isTaken(to) || used.has(to.toLowerCase())) to += '.kept';
    used.add(to.toLowerCase());
    return { file, to };
  });
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
