import { describe, expect, it } from 'vitest';
import { JobError } from '../../../../core/errors.ts';
import { ResourcePool } from '../../../../core/scheduling/resource-pool.ts';
import { runTasks, type TaskRun } from '../../../../core/scheduling/run-tasks.ts';
import type { Task, TaskRecord } from '../../../../core/scheduling/task.ts';

const never = new AbortController().signal;

function task(key: string, changes: Partial<Task> = {}): Task {
  return {
    key,
    stage: 'test',
    label: `Task ${key}`,
    needs: [],
    demand: { threads: 1, memoryBytes: () => 10 },
    work: 1,
    run: () => Promise.resolve({ key }),
    holds: () => Promise.resolve(true),
    ...changes,
  };
}

function run(changes: Partial<TaskRun> = {}): TaskRun {
  return {
    pool: new ResourcePool({ threads: 2, memoryBytes: 100 }),
    signal: never,
    known: new Map(),
    onRecord: () => Promise.resolve(),
    ...changes,
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('runTasks', () => {
  it('runs each task once, after those that it needs, and hands it their records', async () => {
    const seen: Record<string, string[]> = {};
    const noting = (key: string, needs: string[]): Task =>
      task(key, {
        needs,
        run: async ({ records }) => {
          await turn();
          seen[key] = needs.filter((need) => records.has(need));
          return { key };
        },
      });
    const tasks = [noting('d', ['b', 'c']), noting('c', ['a']), noting('b', ['a']), noting('a', [])];
    const records = await runTasks(tasks, run());
    expect(seen).toEqual({ a: [], b: ['a'], c: ['a'], d: ['b', 'c'] });
    expect([...records.keys()].sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('never runs more at once than memory and threads allow', async () => {
    let running = 0;
    let most = 0;
    const tasks = Array.from({ length: 20 }, (_, index) =>
      task(`${index}`, {
        demand: { threads: 1, memoryBytes: () => 40 },
        run: async () => {
          most = Math.max(most, ++running);
          await turn();
          running--;
          return {};
        },
      }),
    );
    await runTasks(tasks, run({ pool: new ResourcePool({ threads: 8, memoryBytes: 100 }) }));
    expect(most).toBe(2);
  });

  it('refuses the whole job before any task runs if one of them can never fit', async () => {
    const ran: string[] = [];
    const noting = task('small', { run: () => Promise.resolve({ ran: ran.push('small') }) });
    const large = task('large', { demand: { threads: 1, memoryBytes: () => 101 } });
    await expect(runTasks([noting, large], run())).rejects.toMatchObject({ code: 'RESOURCE_MEMORY_LIMIT' });
    expect(ran).toEqual([]);
  });

  it('skips tasks whose record still holds, and does the others anew', async () => {
    const skipped: string[] = [];
    const recorded: string[] = [];
    const known = new Map<string, TaskRecord>([
      ['kept', { from: 'before' }],
      ['lost', { from: 'before' }],
    ]);
    const tasks = [task('kept'), task('lost', { holds: () => Promise.resolve(false) }), task('new')];
    const records = await runTasks(
      tasks,
      run({
        known,
        onSkip: ({ key }) => skipped.push(key),
        onRecord: ({ key }) => Promise.resolve(void recorded.push(key)),
      }),
    );
    expect(skipped).toEqual(['kept']);
    expect(recorded).toEqual(['lost', 'new']);
    expect(records.get('kept')).toEqual({ from: 'before' });
    expect(records.get('lost')).toEqual({ key: 'lost' });
  });

  it('stops the others when one fails, waits for them, and throws what the first one threw', async () => {
    const ended: string[] = [];
    const failing = task('failing', {
      run: async () => {
        await turn();
        throw new JobError({ code: 'JOB_OUTPUT_BUSY', what: 'It broke.', whatToDo: 'Mend it.' });
      },
    });
    const long = task('long', {
      run: async ({ signal }) => {
        while (!signal.aborted) await turn();
        await turn();
        ended.push('long');
        throw new JobError({ code: 'JOB_CANCELLED', what: 'Stopped.', whatToDo: 'Start again.' });
      },
    });
    const later = task('later', { run: () => Promise.resolve({ ran: ended.push('later') }) });
    await expect(runTasks([long, failing, later], run())).rejects.toMatchObject({ code: 'JOB_OUTPUT_BUSY' });
    expect(ended).toEqual(['long']);
  });

  it('counts a task as done only once its record is kept', async () => {
    const order: string[] = [];
    const tasks = [
      task('first'),
      task('second', { needs: ['first'], run: () => Promise.resolve({ at: order.push('second runs') }) }),
    ];
    const onRecord = async ({ key }: Task) => {
      await turn();
      order.push(`${key} kept`);
    };
    await runTasks(tasks, run({ onRecord }));
    expect(order).toEqual(['first kept', 'second runs', 'second kept']);
  });

  it('is stopped by its signal, before and amid', async () => {
    const stop = new AbortController();
    let started = 0;
    const tasks = Array.from({ length: 50 }, (_, index) =>
      task(`${index}`, {
        run: async () => {
          if (++started === 5) stop.abort();
          await turn();
          return {};
        },
      }),
    );
    await expect(runTasks(tasks, run({ signal: stop.signal }))).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(started).toBeLessThan(10);
    const before = started;
    await expect(runTasks(tasks, run({ signal: stop.signal }))).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(started).toBe(before);
  });

  it('starts nothing while it is paused', async () => {
    let isPaused = true;
    let started = 0;
    const pool = new ResourcePool({ threads: 1, memoryBytes: null });
    const job = runTasks([task('one', { run: () => Promise.resolve({ n: ++started }) })], {
      ...run({ pool }),
      isPaused: () => isPaused,
    });
    await turn();
    expect(started).toBe(0);
    isPaused = false;
    pool.reconsider();
    await job;
    expect(started).toBe(1);
  });

  it('takes no longer for each of many tasks than for a few', async () => {
    const tasks = Array.from({ length: 10_000 }, (_, index) => task(`${index}`));
    const records = await runTasks(tasks, run());
    expect(records.size).toBe(10_000);
  });

  it.each([
    ['two tasks of one key', [task('a'), task('a')], /two tasks "a"/],
    ['a need that is no task', [task('a', { needs: ['b'] })], /"a" that needs "b"/],
    ['a circle', [task('a'), task('b', { needs: ['a', 'c'] }), task('c', { needs: ['b'] })], /"b" that needs itself/],
  ])('refuses a plan with %s', async (_, tasks, message) => {
    await expect(runTasks(tasks, run())).rejects.toThrow(message);
  });

  it('does nothing for no tasks', async () => {
    await expect(runTasks([], run())).resolves.toEqual(new Map());
  });
});
