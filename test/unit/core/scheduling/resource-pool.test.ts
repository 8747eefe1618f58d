import { describe, expect, it } from 'vitest';
import { ResourcePool, type Demand, type LeaseRequest } from '../../../../core/scheduling/resource-pool.ts';

function demand(threads: number, bytesPerThread: number): Demand {
  return { threads, memoryBytes: (count) => count * bytesPerThread };
}

function request(changes: Partial<LeaseRequest>): LeaseRequest {
  return {
    demand: demand(1, 10),
    label: 'Something',
    rank: () => [0],
    signal: new AbortController().signal,
    ...changes,
  };
}

/** Lets all promises that can settle do so. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('ResourcePool', () => {
  it('gives a demand as many threads as the memory limit allows', () => {
    const pool = new ResourcePool({ threads: 8, memoryBytes: 35 });
    expect(pool.sizeOf(demand(4, 10), 'It')).toEqual({ threads: 3, memoryBytes: 30 });
    expect(pool.sizeOf(demand(2, 10), 'It')).toEqual({ threads: 2, memoryBytes: 20 });
  });

  it('gives no more threads than there are', () => {
    const pool = new ResourcePool({ threads: 2, memoryBytes: null });
    expect(pool.sizeOf(demand(16, 1e12), 'It').threads).toBe(2);
  });

  it('refuses at once what could never run, and says how much is missing', () => {
    const pool = new ResourcePool({ threads: 2, memoryBytes: 10 << 20, besidesBytes: 2 << 20 });
    const ask = () => pool.lease(request({ demand: demand(1, 14 << 20), label: 'the tensor "big"' }));
    expect(ask).toThrow(expect.objectContaining({ code: 'RESOURCE_MEMORY_LIMIT' }));
    expect(ask).toThrow(/limit is 12.* the tensor "big" needs up to 16.*Set --memory-limit to 16MiB/);
  });

  it('never leases more than it has, whatever the order of requests and releases', async () => {
    const limits = { threads: 4, memoryBytes: 100 };
    const pool = new ResourcePool(limits);
    let threads = 0;
    let bytes = 0;
    let state = 7;
    const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
    const users = Array.from({ length: 300 }, async (_, index) => {
      const lease = await pool.lease(
        request({ demand: demand(1 + random(4), 1 + random(60)), rank: () => [index % 7] }),
      );
      threads += lease.threads;
      bytes += lease.memoryBytes;
      expect(threads).toBeLessThanOrEqual(limits.threads);
      expect(bytes).toBeLessThanOrEqual(limits.memoryBytes);
      for (let turns = random(3); turns >= 0; turns--) await settle();
      threads -= lease.threads;
      bytes -= lease.memoryBytes;
      lease.release();
    });
    await Promise.all(users);
    expect([threads, bytes]).toEqual([0, 0]);
    const all = await pool.lease(request({ demand: demand(4, 25) }));
    expect(all).toMatchObject({ threads: 4, memoryBytes: 100 });
  });

  it('lets nobody overtake the first in line, so that large work is not starved', async () => {
    const pool = new ResourcePool({ threads: 2, memoryBytes: null });
    const first = await pool.lease(request({}));
    const granted: string[] = [];
    void pool.lease(request({ demand: demand(2, 1) })).then(() => granted.push('large'));
    void pool.lease(request({ rank: () => [1] })).then(() => granted.push('small'));
    await settle();
    expect(granted).toEqual([]);
    first.release();
    await settle();
    expect(granted).toEqual(['large']);
  });

  it('asks for ranks anew, so that those in line can change places', async () => {
    const pool = new ResourcePool({ threads: 1, memoryBytes: null });
    const held = await pool.lease(request({}));
    const ranks = { one: 1, other: 2 };
    const granted: string[] = [];
    void pool.lease(request({ rank: () => [ranks.one] })).then(() => granted.push('one'));
    void pool.lease(request({ rank: () => [ranks.other] })).then(() => granted.push('other'));
    ranks.one = 3;
    held.release();
    await settle();
    expect(granted).toEqual(['other']);
  });

  it('passes over whoever is paused, until the pause is over', async () => {
    const pool = new ResourcePool({ threads: 1, memoryBytes: null });
    let isPaused = true;
    const granted: string[] = [];
    void pool.lease(request({ isPaused: () => isPaused })).then(() => granted.push('paused'));
    const other = await pool.lease(request({ rank: () => [9] }));
    isPaused = false;
    pool.reconsider();
    await settle();
    expect(granted).toEqual([]);
    other.release();
    await settle();
    expect(granted).toEqual(['paused']);
  });

  it('lets go of a request whose signal fires, and lets the next one in', async () => {
    const pool = new ResourcePool({ threads: 2, memoryBytes: null });
    await pool.lease(request({}));
    const stop = new AbortController();
    const large = pool.lease(request({ demand: demand(2, 1), signal: stop.signal }));
    const small = pool.lease(request({ rank: () => [1] }));
    stop.abort();
    await expect(large).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    await expect(small).resolves.toMatchObject({ threads: 1 });
    await expect(pool.lease(request({ signal: stop.signal }))).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
  });

  it('takes a lease back only once', async () => {
    const pool = new ResourcePool({ threads: 1, memoryBytes: null });
    const lease = await pool.lease(request({}));
    lease.release();
    lease.release();
    await pool.lease(request({}));
    let isGranted = false;
    void pool.lease(request({})).then(() => (isGranted = true));
    await settle();
    expect(isGranted).toBe(false);
  });
});
