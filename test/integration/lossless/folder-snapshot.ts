import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every path below a folder, sorted, with the SHA-256 of a file or the word "folder"; `null` if there is no folder. */
export type Snapshot = Record<string, string> | null;

export function snapshotOf(folder: string): Snapshot {
  const facts = lstatSync(folder, { throwIfNoEntry: false });
  if (facts === undefined) return null;
  if (!facts.isDirectory()) return { '.': digestOf(folder) };
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(paths.map((path) => [path, describe(join(folder, path))]));
}

/** As `snapshotOf` of a test's whole folder, without LATHE_HOME in it: journals of runs stay there. */
export function snapshotOutsideHome(folder: string): Snapshot {
  const paths = Object.entries(snapshotOf(folder) ?? {}).filter(([path]) => !/^home(?:[/\\]|$)/.test(path));
  return Object.fromEntries(paths);
}

function describe(path: string): string {
  const facts = lstatSync(path);
  if (facts.isDirectory()) return 'folder';
  return facts.isFile() ? digestOf(path) : 'other';
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
