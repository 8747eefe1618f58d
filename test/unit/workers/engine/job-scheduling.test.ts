import { expect, test } from 'vitest';
import { ResourcePool } from '../../../../core/scheduling/resource-pool.ts';
import type { JobOptions } from '../../../../workers/engine/job-options.ts';
import { withLease } from '../../../../workers/engine/job-scheduling.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const pool = new ResourcePool({ threads: 2, memoryBytes: 100 });

function jobOptions(): JobOptions {
  const { signal } = new AbortController();
  const control = { signal, rank: () => [0], isPaused: () => false, whenGoing: () => Promise.resolve() };
  return { threads: 1, memoryLimitBytes: null, signal, onEvent: () => undefined, scheduling: { pool, control } };
}

function demandOf(bytes: number) {
  return { threads: 1, memoryBytes: () => bytes };
}

test('a piece within a piece of the same job runs on what that one has', async () => {
  const job = jobOptions();
  const inner = () => withLease(job, pool, demandOf(60), 'inner', () => Promise.resolve('done'));
  expect(await withLease(job, pool, demandOf(60), 'outer', inner)).toBe('done');
  // Everything was given back.
  expect(await withLease(job, pool, demandOf(100), 'after', () => Promise.resolve('all'))).toBe('all');
});

test('a piece that needs more than the one around it has is refused and not waited for', async () => {
  const job = jobOptions();
  const inner = () => withLease(job, pool, demandOf(61), 'inner', () => Promise.resolve());
  const error = await errorOf(() => withLease(job, pool, demandOf(60), 'outer', inner));
  expect(error).toMatchObject({ code: 'BUG_UNEXPECTED' });
  expect(error.message).toContain('inner');
});

test('pieces side by side wait for each other', async () => {
  const order: string[] = [];
  const job = jobOptions();
  const piece = (name: string) =>
    withLease(job, pool, demandOf(60), name, async () => {
      order.push(`${name} begins`);
      await new Promise((proceed) => setTimeout(proceed, 5));
      order.push(`${name} ends`);
    });
  await Promise.all([piece('one'), piece('two')]);
  expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends']);
});
