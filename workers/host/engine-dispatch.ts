import {
  directCalls,
  parseParams as parse,
  queuedCalls,
  type DirectMethod,
  type QueuedMethod,
} from '../../core/contract/engine-calls.ts';
import { JSON_SCHEMAS } from '../../core/contract/json-schemas.ts';
import { parseRecipe } from '../../core/contract/parse-recipe.ts';
import { presetCards } from '../../core/contract/preset-cards.ts';
import { assertNever, serializeError } from '../../core/errors.ts';
import type { JobQueue } from '../../core/scheduling/job-queue.ts';
import type { Engine } from '../engine/index.ts';
import type { JobOptions } from '../engine/job-options.ts';
import type { Desk } from './open-desk.ts';

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
  const { queue, start, subject } = prepare(engine, method, params);
  const { label = `${method} ${subject}`, priority, threads } = queue;
  return { label, priority, threads, start };
}

function prepare(engine: Engine, method: QueuedMethod, params: unknown) {
  switch (method) {
    case 'compress': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.compress({ ...asked, ...job }) };
    }
    case 'restore': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.restore({ ...asked, ...job }) };
    }
    case 'verify': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.verify({ ...asked, ...job }) };
    }
    case 'evaluate': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.evaluate({ ...asked, ...job }) };
    }
    case 'export': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.exportGguf({ ...asked, ...job }) };
    }
    case 'calibrate': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.model, start: (job: JobOptions) => engine.calibrate({ ...asked, ...job }) };
    }
    case 'resume': {
      const { queue, ...asked } = parse(queuedCalls[method], method, params);
      return { queue, subject: asked.run, start: (job: JobOptions) => engine.resumeRun({ ...asked, ...job }) };
    }
    default:
      return assertNever(method, 'call of the queue');
  }
}

/** What answers calls that do not wait for their turn. */
export interface DirectAnswerers {
  engine: Engine;
  queue: JobQueue;
  desk: Desk;
}

/**
 * Answers a call that does not wait for its turn. Calls about jobs are answered by the list of them that `jobs` brings.
 *
 * @throws KernelError ENGINE_PROTOCOL; JobError JOB_UNKNOWN; what engine and desk throw
 */
export async function answerDirectly(
  { engine, queue, desk }: DirectAnswerers,
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
    case 'presets':
      parse(directCalls[method], method, params);
      return { presets: presetCards() };
    case 'recipe.parse': {
      const { text, calibrationTexts } = parse(directCalls[method], method, params);
      return { recipe: parseRecipe(text, 'recipe', calibrationTexts) };
    }
    case 'recipe.schema':
      parse(directCalls[method], method, params);
      return JSON_SCHEMAS.recipe();
    case 'runs.list':
      return engine.listRuns({ ...parse(directCalls[method], method, params), state: null });
    case 'runs.show':
      return engine.showRun(parse(directCalls[method], method, params).id);
    case 'runs.compare':
      return engine.compareRuns(parse(directCalls[method], method, params).ids);
    case 'cache.show':
      parse(directCalls[method], method, params);
      return engine.showCache();
    case 'cache.clear':
      parse(directCalls[method], method, params);
      return engine.clearCache({ dryRun: false });
    case 'files.list':
      return desk.list(parse(directCalls[method], method, params).path);
    case 'models.recent':
      parse(directCalls[method], method, params);
      return desk.recent.list();
    case 'models.open': {
      const { path } = parse(directCalls[method], method, params);
      const inspected = await engine.inspect({ model: path, statistics: false, ...job });
      // The model is open all the same.
      await desk.recent.note(path).catch((error: unknown) => {
        job.onEvent({ event: 'warning', message: `It is not among the recent models: ${serializeError(error).what}` });
      });
      return inspected;
    }
    case 'models.forget':
      return desk.recent.forget(parse(directCalls[method], method, params).path);
    case 'sample':
      parse(directCalls[method], method, params);
      return desk.sample();
    case 'settings.get':
      parse(directCalls[method], method, params);
      return desk.settings.get();
    case 'settings.set':
      return desk.settings.set(parse(directCalls[method], method, params));
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
