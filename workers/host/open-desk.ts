import type { FolderListing, SampleFiles } from '../../core/contract/desk.ts';
import { listFolder } from './list-folder.ts';
import { RecentModelsFile } from './recent-models.ts';
import { sampleFiles } from './sample-files.ts';
import { SettingsFile } from './settings-file.ts';

export interface DeskOptions {
  /** LATHE_HOME. */
  home: string;
  /** Where looking for files begins. */
  userFolder: string;
  /** Null: they did not come along. */
  examplesFolder: string | null;
}

/** What a workbench has beside the engine. */
export interface Desk {
  readonly recent: RecentModelsFile;
  readonly settings: SettingsFile;
  /** @param path null: the user's own folder */
  list(path: string | null): Promise<FolderListing>;
  sample(): Promise<SampleFiles>;
}

/** Touches nothing yet. */
export function openDesk({ home, userFolder, examplesFolder }: DeskOptions): Desk {
  return {
    recent: new RecentModelsFile(home),
    settings: new SettingsFile(home),
    list: (path) => listFolder(path ?? userFolder),
    sample: () => sampleFiles(examplesFolder),
  };
}
