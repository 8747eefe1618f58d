/**
 * What was measured of models, kept in `LATHE_HOME/cache` for all methods and runs (docs/formats/measurement-cache.md).
 *
 * An entry is two files, named by the SHA-256 of all that it depends on: `.bin` with the numbers, and `.json`, which is
 * renamed into place last and makes it an entry. Entries are never changed, so readers need no lock, only that they stay:
 * whoever found or kept one has it pinned until it closes its cache. Two processes that measure the same write the same.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CACHE_VERSION,
  parseCacheEntry,
  sectionBytes,
  type CacheEntry,
  type CacheSection,
} from '../../core/contract/cache-entry.ts';
import { WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { CachePins } from './cache-pins.ts';
import { makeFolders, syncFolder, writeFileDurably } from './durable-files.ts';
import { wrapFileErrors } from './file-errors.ts';

/** A tensor of float64 of a billion entries would not be read either way. */
const MAX_HEADER_BYTES = 1 << 20;
/** Unless LATHE_CACHE_LIMIT says otherwise. */
export const DEFAULT_CACHE_BYTES = 50 * 2 ** 30;
/** A temporary file that nobody has written to for so long belongs to nobody. */
const ABANDONED_MS = 24 * 3600 * 1000;
/** Used so lately that it may be wanted again soon; also for a process that could not pin what it uses. */
const IN_USE_MS = 3600 * 1000;
const ENTRY_FILE = /^[0-9a-f]{64}\.(json|bin)$/;
const TEMPORARY_FILE = /^\.[0-9a-f]{16}\.tmp$/;

/** All that a measurement depends on: what, of which version, on which bytes. */
export type CacheKey = Readonly<Record<string, string | number | boolean>>;

/** Numbers to be kept, in order. */
export interface CachedNumbers {
  name: string;
  shape: number[];
  values: Float64Array | Float32Array;
}

export interface CacheFigures {
  kind: string;
  entries: number;
  bytes: number;
}

interface StoredEntry {
  name: string;
  kind: string;
  bytes: number;
  usedMs: number;
}

type CacheKernels = Pick<Kernels, 'digestFile' | 'syncFile' | 'lockFile'>;

export class MeasurementCache {
  readonly folder: string;
  readonly limitBytes: number;
  readonly #kernels: CacheKernels;
  readonly #onDamage: (message: string) => void;
  /** Entries that were found or kept here: whoever did so may read them later. */
  readonly #pins: CachePins;

  /** @param onDamage told of an entry that was found damaged and removed, as a whole sentence */
  constructor(home: string, limitBytes: number, kernels: CacheKernels, onDamage: (message: string) => void) {
    this.folder = join(home, 'cache');
    this.limitBytes = limitBytes;
    this.#kernels = kernels;
    this.#onDamage = onDamage;
    this.#pins = new CachePins(this.folder, kernels);
  }

  /** To be called once nothing that was found or kept here is read any more: from then on others may let it go. */
  close(): Promise<void> {
    return this.#pins.close();
  }

  /**
   * Finds an entry, its data's SHA-256 checked. A damaged one, and one of another key, is removed, so that it is measured
   * again.
   *
   * @throws ResourceError for a file that cannot be read
   */
  async find(kind: string, key: CacheKey): Promise<FoundEntry | null> {
    const name = nameOf(kind, key);
    const [headerPath, dataPath] = [this.#path(name, 'json'), this.#path(name, 'bin')];
    const header = await readHeader(headerPath);
    if (header === null) return null;
    await this.#pins.add(name);
    const now = new Date();
    // When it was used last decides which go first; another process may have removed it just now.
    await utimes(headerPath, now, now).catch(() => undefined);
    // The name says all that it depends on: a header that gives another was put there by nobody.
    const entry = header === 'damaged' || nameOf(header.kind, header.key) !== name ? null : header;
    const digest = entry === null ? null : await this.#digestOf(dataPath);
    // Whoever let it go while it was pinned has done so by now.
    if ((await stat(headerPath).catch(() => null)) === null) return null;
    if (entry === null || digest?.sha256 !== entry.sha256 || digest.sizeBytes !== entry.sizeBytes) {
      this.#onDamage(
        `An entry of the measurement cache was damaged and is measured again (${kind}, ${name.slice(0, 12)}).`,
      );
      await this.#remove(name);
      return null;
    }
    return new FoundEntry(entry, dataPath);
  }

  /** Whether there is an entry, by its header and size alone; its data may still be damaged. It stays until it is used. */
  async has(kind: string, key: CacheKey): Promise<boolean> {
    const name = nameOf(kind, key);
    const header = await readHeader(this.#path(name, 'json'));
    if (header === null || header === 'damaged') return false;
    await this.#pins.add(name);
    return (await stat(this.#path(name, 'bin')).catch(() => null))?.size === header.sizeBytes;
  }

  /**
   * Keeps numbers.
   *
   * @param facts what does not fit into numbers; JSON
   * @throws ResourceError for a full disk and the like
   */
  async keep(
    kind: string,
    key: CacheKey,
    facts: Record<string, unknown>,
    numbers: readonly CachedNumbers[],
  ): Promise<void> {
    const sections: CacheSection[] = [];
    let offsetBytes = 0;
    for (const { name, shape, values } of numbers) {
      const dtype = values instanceof Float64Array ? 'F64' : 'F32';
      sections.push({ name, dtype, shape, offsetBytes });
      offsetBytes += values.byteLength;
    }
    const data = Buffer.concat(
      numbers.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
    );
    await this.#prepare();
    const temporary = await this.temporaryPath();
    try {
      await writeFileDurably(temporary, data);
      await this.keepFile(kind, key, facts, sections, temporary);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Keeps a file of numbers that is there already, and takes it away from where it was.
   *
   * @param path from `temporaryPath`
   */
  async keepFile(
    kind: string,
    key: CacheKey,
    facts: Record<string, unknown>,
    sections: CacheSection[],
    path: string,
  ): Promise<void> {
    const name = nameOf(kind, key);
    await this.#pins.add(name);
    await this.#kernels.syncFile(path, { threads: 1 });
    const { sizeBytes, sha256 } = await this.#kernels.digestFile(path, { threads: 1 });
    const entry: CacheEntry = { version: CACHE_VERSION, kind, key: { ...key }, sections, facts, sizeBytes, sha256 };
    await wrapFileErrors('rename', path, () => rename(path, this.#path(name, 'bin')));
    await writeFileDurably(this.#path(name, 'json'), `${JSON.stringify(entry)}\n`);
    await this.#evict().catch((error: unknown) => {
      // What was measured is kept; that the rest could not be swept is no reason to stop.
      if (!(error instanceof WorkbenchError)) throw error;
      this.#onDamage(`The measurement cache could not be swept. ${error.what}`);
    });
  }

  /** A path in the cache's folder that nothing has yet, for `keepFile`. */
  async temporaryPath(): Promise<string> {
    await this.#prepare();
    return join(this.folder, `.${randomBytes(8).toString('hex')}.tmp`);
  }

  /** What is there, by kind. */
  async figures(): Promise<CacheFigures[]> {
    const kinds = new Map<string, CacheFigures>();
    for (const { kind, bytes } of await this.#list()) {
      const sum = kinds.get(kind) ?? { kind, entries: 0, bytes: 0 };
      kinds.set(kind, { kind, entries: sum.entries + 1, bytes: sum.bytes + bytes });
    }
    return [...kinds.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  }

  /** Removes all entries, and what crashed processes left; nothing else that lies in the folder. */
  async clear(): Promise<void> {
    await this.#pins.others();
    for (const file of await this.#files()) {
      const isEntry = ENTRY_FILE.test(file);
      if (isEntry || (await this.#isAbandoned(file))) await this.#removeFile(file);
    }
  }

  #path(name: string, ending: 'json' | 'bin'): string {
    return join(this.folder, `${name}.${ending}`);
  }

  async #prepare(): Promise<void> {
    await wrapFileErrors('make', this.folder, () => makeFolders(this.folder));
  }

  #digestOf(path: string) {
    return orGone(() => this.#kernels.digestFile(path, { threads: 1 }));
  }

  /** The header goes first: without it nothing is taken for an entry. */
  async #remove(name: string): Promise<void> {
    await this.#removeFile(`${name}.json`);
    await this.#removeFile(`${name}.bin`);
    await wrapFileErrors('sync', this.folder, () => syncFolder(this.folder));
  }

  async #removeFile(file: string): Promise<void> {
    const path = join(this.folder, file);
    await wrapFileErrors('remove', path, () => rm(path, { force: true, recursive: true }));
  }

  async #files(): Promise<string[]> {
    return wrapFileErrors('list', this.folder, async () => {
      try {
        return await readdir(this.folder);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
        throw error;
      }
    });
  }

  /** A temporary file, or numbers without a header, that nobody has written to for long. */
  async #isAbandoned(file: string): Promise<boolean> {
    const isOrphan = ENTRY_FILE.test(file) && file.endsWith('.bin');
    if (!isOrphan && !TEMPORARY_FILE.test(file)) return false;
    if (isOrphan && (await stat(join(this.folder, file.replace(/bin$/, 'json'))).catch(() => null)) !== null)
      return false;
    const facts = await stat(join(this.folder, file)).catch(() => null);
    return facts !== null && Date.now() - facts.mtimeMs > ABANDONED_MS;
  }

  async #list(): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = [];
    for (const file of await this.#files()) {
      if (!ENTRY_FILE.test(file) || !file.endsWith('.json')) continue;
      const name = file.slice(0, -'.json'.length);
      const [facts, data] = await Promise.all([
        stat(this.#path(name, 'json')).catch(() => null),
        stat(this.#path(name, 'bin')).catch(() => null),
      ]);
      const header = facts === null ? null : await readHeader(this.#path(name, 'json'));
      if (facts === null || header === null) continue;
      const kind = header === 'damaged' ? 'damaged' : header.kind;
      entries.push({ name, kind, bytes: facts.size + (data?.size ?? 0), usedMs: facts.mtimeMs });
    }
    return entries;
  }

  /**
   * Removes what was not used for longest until the rest fits, never what any running job uses, nor what was used within the
   * hour; and what nobody finished long ago.
   */
  async #evict(): Promise<void> {
    const entries = (await this.#list()).sort((a, b) => a.usedMs - b.usedMs);
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const { name, bytes: freed } of entries) {
      if (bytes <= this.limitBytes) break;
      if (this.#pins.has(name)) continue;
      // It may have been used since it was listed.
      const facts = await stat(this.#path(name, 'json')).catch(() => null);
      if (facts === null || Date.now() - facts.mtimeMs < IN_USE_MS) continue;
      if ((await this.#pins.others()).has(name)) continue;
      await this.#remove(name);
      bytes -= freed;
    }
    for (const file of await this.#files()) if (await this.#isAbandoned(file)) await this.#removeFile(file);
  }
}

/** An entry whose data are sound. */
export class FoundEntry {
  readonly facts: Record<string, unknown>;
  readonly sections: readonly CacheSection[];
  /** Of the `.bin`, for kernels that read ranges. */
  readonly dataPath: string;

  constructor({ facts, sections }: CacheEntry, dataPath: string) {
    this.facts = facts;
    this.sections = sections;
    this.dataPath = dataPath;
  }

  /** All sections' numbers, by name; null where another process has removed the entry just now. */
  async read(): Promise<Map<string, Float64Array | Float32Array> | null> {
    const data = await orGone(() => wrapFileErrors('read', this.dataPath, () => readFile(this.dataPath)));
    if (data === null) return null;
    return new Map(
      this.sections.map((section) => {
        const { name, dtype, offsetBytes } = section;
        const bytes = Uint8Array.from(data.subarray(offsetBytes, offsetBytes + sectionBytes(section)));
        return [name, dtype === 'F64' ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer)];
      }),
    );
  }
}

function nameOf(kind: string, key: CacheKey): string {
  const parts = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([CACHE_VERSION, kind, parts]))
    .digest('hex');
}

async function readHeader(path: string): Promise<CacheEntry | 'damaged' | null> {
  const facts = await stat(path).catch(() => null);
  if (facts === null) return null;
  if (!facts.isFile() || facts.size > MAX_HEADER_BYTES) return 'damaged';
  const text = await orGone(() => wrapFileErrors('read', path, () => readFile(path, 'utf8')));
  return text === null ? null : (parseCacheEntry(text) ?? 'damaged');
}

/** Null where another process has removed the file just now. */
async function orGone<Result>(read: () => Promise<Result>): Promise<Result | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof WorkbenchError && error.code === 'FILE_NOT_FOUND') return null;
    throw error;
  }
}
