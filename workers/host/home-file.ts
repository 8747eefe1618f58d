import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders, writeFileDurably } from '../engine/durable-files.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';

/**
 * A small JSON file in LATHE_HOME. What is missing, damaged or of a later release reads as if nothing had been kept: nobody
 * loses work by it.
 */
export class HomeFile<Value> {
  readonly #path: string;
  readonly #parse: (value: unknown) => Value;
  readonly #empty: Value;
  #last: Promise<unknown> = Promise.resolve();

  /** @param parse throws for what is not such a value */
  constructor(path: string, parse: (value: unknown) => Value, empty: Value) {
    this.#path = path;
    this.#parse = parse;
    this.#empty = empty;
  }

  /** @throws ResourceError where the file is there and cannot be read */
  async read(): Promise<Value> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return this.#empty;
      return wrapFileErrors('read', this.#path, () => Promise.reject(error as Error));
    }
    try {
      return this.#parse(JSON.parse(text));
    } catch {
      return this.#empty;
    }
  }

  /**
   * Changes what is kept; changes of this process go one after another.
   *
   * @returns what is kept then
   * @throws ResourceError
   */
  change(make: (old: Value) => Value): Promise<Value> {
    const changed = this.#last.then(async () => {
      const value = make(await this.read());
      await wrapFileErrors('make', dirname(this.#path), () => makeFolders(dirname(this.#path)));
      await writeFileDurably(this.#path, `${JSON.stringify(value, null, 2)}\n`);
      return value;
    });
    this.#last = changed.catch(() => undefined);
    return changed;
  }
}
