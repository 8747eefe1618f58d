import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdLock } from '../../../scripts/hold-lock.mjs';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-lock-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('lets one run at a time, and frees the lock when one throws', async () => {
  const lock = join(folder, 'lock');
  let running = 0;
  let most = 0;
  async function work(): Promise<void> {
    running += 1;
    most = Math.max(most, running);
    await sleep(20);
    running -= 1;
    throw new Error('it failed');
  }
  const waits: number[] = [];
  const results = await Promise.allSettled([1, 2, 3].map((id) => holdLock(lock, () => waits.push(id), work)));
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(most).toBe(1);
  expect(waits).toEqual([2, 3]);
  expect(existsSync(lock)).toBe(false);
});

test('takes over a lock whose holder was killed', async () => {
  const lock = join(folder, 'lock');
  writeFileSync(lock, '');
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(lock, longAgo, longAgo);
  expect(
    await holdLock(
      lock,
      () => expect.unreachable('it need not wait'),
      () => Promise.resolve(7),
    ),
  ).toBe(7);
});
