/**
 * What a workbench knows beside the engine: files, recent models, settings, samples. Its answers, as they cross the border.
 */

export interface FolderListing {
  /** Absolute. */
  path: string;
  /** Null at the top. */
  parent: string | null;
  /** Folders first, each kind by name; hidden ones left out. */
  entries: ListedEntry[];
  /** Entries that there are beside these, where there are too many. */
  more: number;
}

export interface ListedEntry {
  name: string;
  kind: 'folder' | 'file';
  /** Of a file; 0 for a folder. */
  sizeBytes: number;
  /** Whether it looks like a model, by names alone. */
  isModel: boolean;
}

export interface RecentModel {
  /** Absolute. */
  path: string;
  /** ISO 8601, UTC. */
  openedAt: string;
  /** Whether nothing is there any more. */
  isMissing: boolean;
}

export interface RecentModels {
  /** The one opened last first. */
  models: RecentModel[];
}

/** Absolute paths of the examples that ship with the program; null where they are not there. */
export interface SampleFiles {
  model: string | null;
  calibrationText: string | null;
  evaluationText: string | null;
}

export type Theme = 'system' | 'light' | 'dark';

export interface DeskSettings {
  theme: Theme;
  /** Of all jobs together, from the next start on; null: as many as the machine has logical processors. */
  threads: number | null;
  /** Of the whole process, from the next start on; null: none. */
  memoryLimitBytes: number | null;
}
