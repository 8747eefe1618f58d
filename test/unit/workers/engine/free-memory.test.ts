import { describe, expect, test } from 'vitest';
import { freeMemoryBytes } from '../../../../workers/engine/free-memory.ts';

const MIB = 2 ** 20;
const MEMINFO = 'MemTotal:       16384000 kB\nMemFree:         1024000 kB\nMemAvailable:    8192000 kB\n';
const AVAILABLE = 8_192_000 * 1024;

/** A system of these files alone. */
function free(files: Record<string, string>, elseBytes = 1): Promise<number> {
  return freeMemoryBytes((path) => Promise.resolve(files[path] ?? null), elseBytes);
}

describe('free memory', () => {
  test('is what the system has available, or what is given where it does not tell', async () => {
    expect(await free({ '/proc/meminfo': MEMINFO })).toBe(AVAILABLE);
    expect(await free({ '/proc/meminfo': MEMINFO, '/proc/self/cgroup': '0::/\n' })).toBe(AVAILABLE);
    expect(await free({}, 5 * MIB)).toBe(5 * MIB);
  });

  test('is no more than a group of version 2 and those above it have left; file pages that can go count as free', async () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/user.slice/job.scope\n',
      '/sys/fs/cgroup/user.slice/job.scope/memory.max': 'max\n',
      '/sys/fs/cgroup/user.slice/job.scope/memory.current': `${600 * MIB}\n`,
      '/sys/fs/cgroup/user.slice/memory.max': `${1000 * MIB}\n`,
      '/sys/fs/cgroup/user.slice/memory.current': `${700 * MIB}\n`,
      '/sys/fs/cgroup/user.slice/memory.stat': `anon 5\nactive_file ${50 * MIB}\ninactive_file ${100 * MIB}\n`,
    };
    expect(await free(files)).toBe(400 * MIB);
    const own = { ...files, '/sys/fs/cgroup/user.slice/job.scope/memory.max': `${650 * MIB}\n` };
    expect(await free(own)).toBe(50 * MIB);
  });

  test('is no more than a group of version 1 has left, whose path a container does not see', async () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '9:name=systemd:/x\n4:cpu,memory:/docker/0123\n0::/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${512 * MIB}\n`,
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': `${200 * MIB}\n`,
      '/sys/fs/cgroup/memory/memory.stat': `inactive_file ${1 * MIB}\ntotal_inactive_file ${88 * MIB}\n`,
    };
    expect(await free(files)).toBe(400 * MIB);
    const unlimited = { ...files, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' };
    expect(await free(unlimited)).toBe(AVAILABLE);
  });

  test('is nothing in a group that is over its limit', async () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.max': `${100 * MIB}\n`,
      '/sys/fs/cgroup/memory.current': `${120 * MIB}\n`,
    };
    expect(await free(files)).toBe(0);
  });

  test('is told by files that say no number as if they were not there', async () => {
    const files = {
      '/proc/meminfo': 'nothing of use',
      '/proc/self/cgroup': 'nonsense\n0::relative\n0::/\n',
      '/sys/fs/cgroup/memory.max': '',
      '/sys/fs/cgroup/memory.current': 'many',
    };
    expect(await free(files, 7 * MIB)).toBe(7 * MIB);
  });
});
