import { ResourceError } from '../errors.ts';
import { stopped } from '../stop-if-asked.ts';
import { formatBytes } from '../units.ts';

/** What a piece of work takes while it runs. */
export interface Demand {
  /** Threads that it can keep busy, 1 or more; it gets as many as the pool has, or as memory allows. */
  threads: number;
  /** Bound of the memory that it takes on so many threads, in bytes; never less on more threads. */
  memoryBytes: (threads: number) => number;
}

/** Who comes first: compared number by number, lower before higher. */
export type Rank = readonly number[];

export interface LeaseRequest {
  demand: Demand;
  /** For people, in errors: what asks. */
  label: string;
  /** Asked anew whenever something is free, so that jobs may change places while they wait. */
  rank: () => Rank;
  /** While it says so the request waits, and holds up nobody. */
  isPaused?: (() => boolean) | undefined;
  signal: AbortSignal;
}

export interface Lease {
  readonly threads: number;
  readonly memoryBytes: number;
  /** Gives everything back; to be called once. */
  release(): void;
}

export interface PoolLimits {
  threads: number;
  /** Null: none. */
  memoryBytes: number | null;
  /** What the process takes besides, for errors: the user's limit is the sum. */
  besidesBytes?: number;
}

interface Waiting {
  request: LeaseRequest;
  size: { threads: number; memoryBytes: number };
  grant: (lease: Lease) => void;
}

/**
 * Threads and memory that jobs share: the sum of what is leased never exceeds the limits.
 *
 * Strictly in order of rank: whoever is first in line waits until all of what it needs is free, and nobody overtakes it, so
 * that large pieces of work are never starved by small ones. How many threads a demand gets depends on the limits alone,
 * never on what else is running.
 */
export class ResourcePool {
  readonly limits: PoolLimits;
  #freeThreads: number;
  #freeBytes: number;
  #waiting: Waiting[] = [];

  constructor(limits: PoolLimits) {
    this.limits = limits;
    this.#freeThreads = limits.threads;
    this.#freeBytes = limits.memoryBytes ?? Infinity;
  }

  /**
   * How a demand would be met by the empty pool.
   *
   * @param label of what asks, for the error
   * @throws ResourceError RESOURCE_MEMORY_LIMIT if one thread is too much; says how much would do
   */
  sizeOf({ threads, memoryBytes }: Demand, label: string): { threads: number; memoryBytes: number } {
    const limit = this.limits.memoryBytes ?? Infinity;
    for (let count = Math.min(threads, this.limits.threads); count > 0; count--) {
      const bytes = memoryBytes(count);
      if (bytes <= limit) return { threads: count, memoryBytes: bytes };
    }
    const besides = this.limits.besidesBytes ?? 0;
    const needed = besides + memoryBytes(1);
    throw new ResourceError({
      code: 'RESOURCE_MEMORY_LIMIT',
      what: `The memory limit is ${formatBytes(besides + limit)}, but ${label} needs up to ${formatBytes(needed)} with one thread.`,
      whatToDo: `Set --memory-limit to ${Math.ceil(needed / (1 << 20))}MiB or more.`,
    });
  }

  /**
   * Waits until a demand can be met.
   *
   * @throws ResourceError RESOURCE_MEMORY_LIMIT at once if it never can; JobError JOB_CANCELLED when the signal fires
   */
  lease(request: LeaseRequest): Promise<Lease> {
    const size = this.sizeOf(request.demand, request.label);
    const { signal } = request;
    if (signal.aborted) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(stopped());
        this.reconsider();
      };
      const waiting: Waiting = {
        request,
        size,
        grant: (lease) => {
          signal.removeEventListener('abort', onAbort);
          resolve(lease);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.reconsider();
    });
  }

  /** Looks again at who can go on: to be called when a rank or a pause has changed. */
  reconsider(): void {
    for (let first = this.#first(); first !== null; first = this.#first()) {
      const { threads, memoryBytes } = first.size;
      if (threads > this.#freeThreads || memoryBytes > this.#freeBytes) return;
      const granted = first;
      this.#waiting = this.#waiting.filter((other) => other !== granted);
      granted.grant(this.#take(threads, memoryBytes));
    }
  }

  /** Of those that are not paused; of equals the one that has waited longest. */
  #first(): Waiting | null {
    let first: Waiting | null = null;
    let firstRank: Rank = [];
    for (const waiting of this.#waiting) {
      if (waiting.request.isPaused?.() === true) continue;
      const rank = waiting.request.rank();
      if (first !== null && compareRanks(rank, firstRank) >= 0) continue;
      first = waiting;
      firstRank = rank;
    }
    return first;
  }

  #take(threads: number, memoryBytes: number): Lease {
    this.#freeThreads -= threads;
    this.#freeBytes -= memoryBytes;
    let isHeld = true;
    return {
      threads,
      memoryBytes,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#freeThreads += threads;
        this.#freeBytes += memoryBytes;
        this.reconsider();
      },
    };
  }
}

/** Below 0 if `one` comes first. */
function compareRanks(one: Rank, other: Rank): number {
  for (let index = 0; index < Math.max(one.length, other.length); index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
