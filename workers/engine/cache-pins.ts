/**
 * Which entries of the measurement cache the jobs of all running processes use.
 *
 * Whoever uses entries has two files in the cache's folder: `.<id>.lock`, locked for as long as it runs, and `.<id>.pins`
 * with the entries' names, one a line. The system gives the lock of a dead process back, so its pins count no more.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkbenchError } from '../../core/errors.ts';
import type { FileLock, Kernels } from '../../core/kernels/kernels.ts';

const OWN_FILE = /^\.([0-9a-f]{16})\.(pins|lock)$/;

interface OwnFiles {
  id: string;
  lock: FileLock;
}

export class CachePins {
  readonly #folder: string;
  readonly #kernels: Pick<Kernels, 'lockFile'>;
  readonly #names = new Set<string>();
  #own: Promise<OwnFiles> | null = null;

  /** @param folder the cache's; need not be there before the first `add` */
  constructor(folder: string, kernels: Pick<Kernels, 'lockFile'>) {
    this.#folder = folder;
    this.#kernels = kernels;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Where the disk does not let it, others are not told: their jobs may have to measure again, no more. */
  async add(name: string): Promise<void> {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const isFirst = this.#own === null;
    this.#own ??= this.#open();
    try {
      const { id } = await this.#own;
      if (!isFirst) await appendFile(this.#path(id, 'pins'), `${name}\n`);
    } catch {
      if (isFirst) this.#own = null;
    }
  }

  /** Names that others use now. Removes the files of those who are gone. */
  async others(): Promise<Set<string>> {
    const own = await this.#own?.catch(() => null);
    const files = await readdir(this.#folder).catch(() => []);
    const ids = new Set(files.map((file) => OWN_FILE.exec(file)?.[1]));
    const names = new Set<string>();
    for (const id of ids) {
      if (id === undefined || id === own?.id || (await this.#removeDead(id))) continue;
      const text = await readFile(this.#path(id, 'pins'), 'utf8').catch(() => '');
      for (const name of text.split('\n')) names.add(name);
    }
    return names;
  }

  /** Once nothing of what was found is read any more. */
  async close(): Promise<void> {
    const own = await this.#own?.catch(() => null);
    this.#own = null;
    this.#names.clear();
    if (own) await this.#remove(own);
  }

  #path(id: string, ending: 'pins' | 'lock'): string {
    return join(this.#folder, `.${id}.${ending}`);
  }

  /** The lock first: names without one are those of the dead. */
  async #open(): Promise<OwnFiles> {
    const id = randomBytes(8).toString('hex');
    const lock = this.#kernels.lockFile(this.#path(id, 'lock'));
    try {
      const names = [...this.#names].map((name) => `${name}\n`);
      await writeFile(this.#path(id, 'pins'), names.join(''));
    } catch (error) {
      await this.#remove({ id, lock });
      throw error;
    }
    return { id, lock };
  }

  /** False for one who lives, or of whom nothing can be told. */
  async #removeDead(id: string): Promise<boolean> {
    try {
      await this.#remove({ id, lock: this.#kernels.lockFile(this.#path(id, 'lock')) });
      return true;
    } catch (error) {
      if (error instanceof WorkbenchError) return false;
      throw error;
    }
  }

  async #remove({ id, lock }: OwnFiles): Promise<void> {
    for (const ending of ['pins', 'lock'] as const) {
      await rm(this.#path(id, ending), { force: true }).catch(() => undefined);
    }
    lock.release();
  }
}
