import {
  directCalls,
  parseParams as parse,
  queuedCalls,
  type DirectMethod,
  type QueuedMethod,
} from '../../core/contract/engine-calls.ts';
import { assertNever } from '../../core/errors.ts';
import type { JobQueue } from '../../core/scheduling/job-queue.ts';
import type { Engine } from '../engine/index.ts';
import type { JobOptions } from '../engine/job-options.ts';

/** A call of the queue, checked and ready to be put in line. */
export interface ReadyCall {
  label: string;
  priority: number;
  /** At most; undefined: all. */
  threads: number | undefined;
  start: (job: JobOptions) => Promise<unknown>;
}

/**
 * Checks the parameters of a call of the queue.
 *
 * @throws KernelError ENGINE_PROTOCOL
 */
export function readyCall(engine: Engine, method: QueuedMethod, params: unknown): ReadyCall {
  const { queue, start, model } = prepare(engine, method, params);
  const { label = `${method} ${model}`, priority, threads } = queue;
  return { label, priority, threads, start };
}

function prepare(engine: Engine, method: QueuedMethod, params: unknown) {
  switch (method) {
    case 'compress': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, model: asked.model, start: (job: JobOptions) => engine.compress({ ...asked, ...job }) };
    }
    case 'restore': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, model: asked.model, start: (job: JobOptions) => engine.restore({ ...asked, ...job }) };
    }
    case 'verify': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, model: asked.model, start: (job: JobOptions) => engine.verify({ ...asked, ...job }) };
    }
    case 'evaluate': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, model: asked.model, start: (job: JobOptions) => engine.evaluate({ ...asked, ...job }) };
    }
    default:
      return assertNever(method, 'call of the queue');
  }
}

/**
 * Answers a call that does not wait for its turn. Calls about jobs are answered by the list of them that `jobs` brings.
 *
 * @throws KernelError ENGINE_PROTOCOL; JobError JOB_UNKNOWN; what the engine throws
 */
export async function answerDirectly(
  engine: Engine,
  queue: JobQueue,
  method: DirectMethod,
  params: unknown,
  job: JobOptions,
): Promise<unknown> {
  switch (method) {
    case 'inspect':
      return engine.inspect({ ...parse(directCalls[method], method, params), ...job });
    case 'estimate':
      return engine.estimate({ ...parse(directCalls[method], method, params), ...job });
    case 'explain':
      return engine.explain({ ...parse(directCalls[method], method, params), ...job });
    case 'doctor':
      parse(directCalls[method], method, params);
      return engine.doctor();
    case 'jobs.pause':
      return queue.pause(parse(directCalls[method], method, params).job);
    case 'jobs.resume':
      return queue.resume(parse(directCalls[method], method, params).job);
    case 'jobs.cancel':
      return queue.cancel(parse(directCalls[method], method, params).job);
    case 'jobs.remove':
      return queue.remove(parse(directCalls[method], method, params).job);
    case 'jobs.setPriority': {
      const { job: name, priority } = parse(directCalls[method], method, params);
      return queue.setPriority(name, priority);
    }
    case 'jobs.move': {
      const { job: name, before } = parse(directCalls[method], method, params);
      return queue.move(name, before);
    }
    default:
      return assertNever(method, 'call');
  }
}
