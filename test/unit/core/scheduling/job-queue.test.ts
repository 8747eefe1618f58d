import { describe, expect, it } from 'vitest';
import { JobError } from '../../../../core/errors.ts';
import { JobQueue, type JobControl } from '../../../../core/scheduling/job-queue.ts';

/** A job of so many steps, each of which waits for `step`. */
function steppedJobs(concurrency: number) {
  const queue = new JobQueue(concurrency);
  const log: string[] = [];
  const controls = new Map<string, JobControl>();
  const ends = new Map<string, { finish: () => void; fail: (error: unknown) => void }>();
  const add = (id: string, priority = 0) => {
    const result = queue.add({
      id,
      label: `Job ${id}`,
      priority,
      start: (control) => {
        log.push(id);
        controls.set(id, control);
        return new Promise<string>((resolve, reject) => {
          const stop = () => reject(new JobError({ code: 'JOB_CANCELLED', what: 'Stopped.', whatToDo: 'Go on.' }));
          control.signal.addEventListener('abort', stop);
          ends.set(id, { finish: () => resolve(`result of ${id}`), fail: reject });
        });
      },
    });
    result.catch(() => undefined);
    return result;
  };
  const statuses = () => Object.fromEntries(queue.list().map(({ id, status }) => [id, status]));
  return { queue, log, controls, ends, add, statuses };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('JobQueue', () => {
  it('runs so many jobs at once, in order of priority and then of arrival', async () => {
    const { log, ends, add, statuses } = steppedJobs(1);
    const first = add('a');
    void add('b');
    void add('urgent', 5);
    await turn();
    expect(statuses()).toEqual({ a: 'running', b: 'waiting', urgent: 'waiting' });
    ends.get('a')?.finish();
    await expect(first).resolves.toBe('result of a');
    await turn();
    expect(log).toEqual(['a', 'urgent']);
    ends.get('urgent')?.finish();
    await turn();
    expect(log).toEqual(['a', 'urgent', 'b']);
  });

  it('goes on after a job that failed, and keeps its error', async () => {
    const { queue, ends, add, statuses } = steppedJobs(1);
    const failing = add('a');
    void add('b');
    await turn();
    const error = new Error('broken');
    ends.get('a')?.fail(error);
    await expect(failing).rejects.toBe(error);
    await turn();
    expect(statuses()).toEqual({ a: 'failed', b: 'running' });
    expect(queue.list()[0]?.error).toBe(error);
  });

  it('gives the place of a paused job to the next, and takes one again when it is resumed', async () => {
    const { queue, controls, ends, add, statuses } = steppedJobs(1);
    void add('a');
    void add('b');
    await turn();
    queue.pause('a');
    await turn();
    expect(statuses()).toEqual({ a: 'paused', b: 'running' });
    expect(controls.get('a')?.isPaused()).toBe(true);
    let isGoing = false;
    void controls
      .get('a')
      ?.whenGoing()
      .then(() => (isGoing = true));
    queue.resume('a');
    await turn();
    expect([statuses()['a'], isGoing]).toEqual(['waiting', false]);
    ends.get('b')?.finish();
    await turn();
    await turn();
    expect([statuses()['a'], isGoing]).toEqual(['running', true]);
    expect(controls.get('a')?.isPaused()).toBe(false);
  });

  it('cancels a job that runs, one that waits, and one that is paused', async () => {
    const { queue, log, controls, add, statuses } = steppedJobs(1);
    const running = add('running');
    const waiting = add('waiting');
    await turn();
    queue.cancel('waiting');
    await expect(waiting).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    queue.pause('running');
    const going = controls.get('running')?.whenGoing();
    queue.cancel('running');
    await expect(going).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    await expect(running).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(statuses()).toEqual({ running: 'cancelled', waiting: 'cancelled' });
    expect(log).toEqual(['running']);
  });

  it('lets jobs that wait change places', async () => {
    const { queue, log, ends, add } = steppedJobs(1);
    for (const id of ['a', 'b', 'c', 'd']) void add(id);
    await turn();
    queue.move('d', 'b');
    queue.move('b', null);
    expect(queue.list().map(({ id }) => id)).toEqual(['a', 'd', 'c', 'b']);
    queue.setPriority('b', 1);
    ends.get('a')?.finish();
    await turn();
    expect(log).toEqual(['a', 'b']);
    expect(queue.list().map(({ id }) => id)).toEqual(['a', 'd', 'c', 'b']);
  });

  it('ranks a job by priority, then by its place as it is now', async () => {
    const { queue, controls, add } = steppedJobs(2);
    void add('a');
    void add('b', 3);
    await turn();
    expect(controls.get('b')?.rank()).toEqual([-3, 1]);
    queue.move('b', 'a');
    expect(controls.get('b')?.rank()).toEqual([-3, 0]);
  });

  it('forgets jobs that have ended, and only those', async () => {
    const { queue, ends, add } = steppedJobs(1);
    void add('a');
    await turn();
    queue.remove('a');
    expect(queue.list()).toHaveLength(1);
    ends.get('a')?.finish();
    await turn();
    queue.remove('a');
    expect(queue.list()).toEqual([]);
    expect(() => queue.pause('a')).toThrow(expect.objectContaining({ code: 'JOB_UNKNOWN' }));
  });

  it('tells of every change', async () => {
    const seen: string[] = [];
    const queue: JobQueue = new JobQueue(1, () =>
      seen.push(
        queue
          .list()
          .map(({ status }) => status)
          .join(),
      ),
    );
    await queue.add({ id: 'a', label: 'A', priority: 0, start: () => Promise.resolve(1) });
    expect(seen).toEqual(['running', 'done']);
  });
});
