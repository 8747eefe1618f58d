import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RecentModels } from '../../core/contract/desk.ts';
import { recentFileSchema, type RecentFile } from '../../core/contract/desk-files.ts';
import { HomeFile } from './home-file.ts';

/** More than a person finds anything in. */
const MAX_MODELS = 20;

/** The models that were opened last, in `LATHE_HOME/recent.json`. */
export class RecentModelsFile {
  readonly #file: HomeFile<RecentFile>;

  constructor(home: string) {
    this.#file = new HomeFile(join(home, 'recent.json'), (value) => recentFileSchema.parse(value), {
      schema: 1,
      models: [],
    });
  }

  async list(): Promise<RecentModels> {
    const { models } = await this.#file.read();
    return {
      models: await Promise.all(
        models.map(async ({ path, openedAt }) => ({ path, openedAt, isMissing: await isMissing(path) })),
      ),
    };
  }

  /** Puts a model first. */
  async note(path: string): Promise<void> {
    const absolute = resolve(path);
    const openedAt = new Date().toISOString();
    await this.#file.change(({ models }) => {
      const others = models.filter((model) => model.path !== absolute);
      return { schema: 1, models: [{ path: absolute, openedAt }, ...others].slice(0, MAX_MODELS) };
    });
  }

  async forget(path: string): Promise<void> {
    const absolute = resolve(path);
    await this.#file.change(({ models }) => {
      return { schema: 1, models: models.filter((model) => model.path !== absolute) };
    });
  }
}

async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  );
}
