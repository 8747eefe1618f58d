import { join } from 'node:path';
import type { DeskSettings } from '../../core/contract/desk.ts';
import { settingsFileSchema, type KeptSettings } from '../../core/contract/desk-files.ts';
import { HomeFile } from './home-file.ts';

const DEFAULTS: DeskSettings = { theme: 'system', threads: null, memoryLimitBytes: null };

/** Those that are given; undefined: as it was. */
export type SettingsChange = { [Key in keyof DeskSettings]?: DeskSettings[Key] | undefined };

/** What a person has set, in `LATHE_HOME/settings.json`. */
export class SettingsFile {
  readonly #file: HomeFile<KeptSettings>;

  constructor(home: string) {
    this.#file = new HomeFile(join(home, 'settings.json'), (value) => settingsFileSchema.parse(value), {
      schema: 1,
      ...DEFAULTS,
    });
  }

  async get(): Promise<DeskSettings> {
    const { schema: _, ...settings } = await this.#file.read();
    return settings;
  }

  /** @returns all of them, as they are then */
  async set({ theme, threads, memoryLimitBytes }: SettingsChange): Promise<DeskSettings> {
    const { schema: _, ...settings } = await this.#file.change((old) => ({
      schema: 1,
      theme: theme ?? old.theme,
      threads: threads === undefined ? old.threads : threads,
      memoryLimitBytes: memoryLimitBytes === undefined ? old.memoryLimitBytes : memoryLimitBytes,
    }));
    return settings;
  }
}
