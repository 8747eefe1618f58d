import { KernelError } from '../errors.ts';
import type { Task } from './task.ts';

/** Which tasks can start, and which ones after them: tasks by their place in the plan, never by time. */
export class TaskGraph {
  readonly #tasks: readonly Task[];
  /** For each task, how many that it needs are not done yet. */
  readonly #missing: number[];
  readonly #followers: readonly number[][];
  /** Those that can start and have not, in order of their places. */
  readonly #ready: number[];
  #left: number;

  /** @throws KernelError BUG_UNEXPECTED for two tasks of one key, a need that is no task, or needs in a circle */
  constructor(tasks: readonly Task[]) {
    this.#tasks = tasks;
    const places = new Map<string, number>();
    for (const [place, { key }] of tasks.entries()) {
      if (places.has(key)) throw badPlan(`has two tasks "${key}"`);
      places.set(key, place);
    }
    const followers: number[][] = tasks.map(() => []);
    this.#missing = tasks.map(({ key, needs }, place) => {
      const needed = new Set(needs);
      for (const need of needed) {
        const from = places.get(need);
        if (from === undefined) throw badPlan(`has a task "${key}" that needs "${need}", which is none`);
        followers[from]?.push(place);
      }
      return needed.size;
    });
    this.#followers = followers;
    this.#ready = this.#missing.flatMap((missing, place) => (missing === 0 ? [place] : []));
    this.#left = tasks.length;
    this.#refuseCircles();
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  /** Takes the first of the tasks that can start; null if none can. */
  take(): { task: Task; place: number } | null {
    const place = this.#ready.shift();
    const task = place === undefined ? undefined : this.#tasks[place];
    return place === undefined || task === undefined ? null : { task, place };
  }

  /** Notes that a taken task is done. */
  settle(place: number): void {
    this.#left--;
    for (const follower of this.#followers[place] ?? []) {
      const missing = (this.#missing[follower] ?? 0) - 1;
      this.#missing[follower] = missing;
      if (missing === 0) this.#makeReady(follower);
    }
  }

  #makeReady(place: number): void {
    let low = 0;
    let high = this.#ready.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ready[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    this.#ready.splice(low, 0, place);
  }

  #refuseCircles(): void {
    const missing = [...this.#missing];
    const reached = [...this.#ready];
    for (let at = 0; at < reached.length; at++) {
      for (const follower of this.#followers[reached[at] ?? 0] ?? []) {
        const left = (missing[follower] ?? 0) - 1;
        missing[follower] = left;
        if (left === 0) reached.push(follower);
      }
    }
    if (reached.length === this.#tasks.length) return;
    const stuck = this.#tasks.find((_, place) => (missing[place] ?? 0) > 0);
    throw badPlan(`has a task "${stuck?.key ?? ''}" that needs itself, by way of others`);
  }
}

function badPlan(what: string): KernelError {
  return new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `The plan of this job ${what}.`,
    whatToDo: 'This is a fault in Lathe: please report it with the text above.',
  });
}
