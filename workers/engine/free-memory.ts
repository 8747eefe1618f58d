/** How much memory a process may still take, as the system and the control groups around it tell. */
import { readFile } from 'node:fs/promises';
import { freemem } from 'node:os';

/** Reads a small text of the system; null where it is not there. */
export type ReadSystemFile = (path: string) => Promise<string | null>;

/** Where the hierarchies of control groups are mounted by custom. */
const CGROUPS = '/sys/fs/cgroup';

/** Without a limit a job takes so much of what is free: the rest is for everybody else. */
const SHARE_OF_FREE = 0.75;

/** The limit of a job that was given none. */
export async function defaultMemoryLimit(): Promise<number> {
  return Math.floor(SHARE_OF_FREE * (await freeMemoryBytes(readSystemFile, freemem())));
}

/**
 * The least of what the system has available and of what each control group around this process has left; pages of
 * files that can be dropped count as free.
 *
 * Source: Linux's proc(5) (MemAvailable), and its control group documentation, v1 (memory.limit_in_bytes) and v2
 * (memory.max). A group's own limit and those of all groups above it hold.
 * @param elseBytes where the system does not tell
 */
export async function freeMemoryBytes(read: ReadSystemFile, elseBytes: number): Promise<number> {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec((await read('/proc/meminfo')) ?? '')?.[1];
  const amounts = [available === undefined ? elseBytes : 1024 * Number(available)];
  for (const line of ((await read('/proc/self/cgroup')) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === '') amounts.push(...(await leftInGroups(CGROUPS, path, V2, read)));
    if (controllers.split(',').includes('memory')) {
      amounts.push(...(await leftInGroups(`${CGROUPS}/memory`, path, V1, read)));
    }
  }
  return Math.max(0, Math.min(...amounts));
}

interface GroupFiles {
  limit: string;
  usage: string;
  /** Of memory.stat: pages of files that were not used for a while. */
  inactive: RegExp;
}

const V1: GroupFiles = {
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
  inactive: /^total_inactive_file (\d+)$/m,
};
const V2: GroupFiles = { limit: 'memory.max', usage: 'memory.current', inactive: /^inactive_file (\d+)$/m };

/** A container sees its own group as the root, so the paths that are not there say nothing. */
async function leftInGroups(root: string, path: string, files: GroupFiles, read: ReadSystemFile): Promise<number[]> {
  const left: number[] = [];
  const names = path.split('/').filter((name) => name !== '');
  for (let depth = names.length; depth >= 0; depth--) {
    const folder = [root, ...names.slice(0, depth)].join('/');
    const limit = toBytes(await read(`${folder}/${files.limit}`));
    const usage = toBytes(await read(`${folder}/${files.usage}`));
    if (limit === null || usage === null) continue;
    const inactive = files.inactive.exec((await read(`${folder}/memory.stat`)) ?? '')?.[1] ?? 0;
    left.push(limit - Math.max(0, usage - Number(inactive)));
  }
  return left;
}

/** Null for "max", which is no limit. */
function toBytes(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null;
}

async function readSystemFile(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}
