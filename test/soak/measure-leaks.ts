/** A thousand jobs through one engine, and what the process holds after so many of them. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { recipeSchema } from '../../core/contract/recipe.ts';
import { WorkbenchError } from '../../core/errors.ts';
import type { Engine, JobOptions } from '../../workers/engine/index.ts';

/** What a process holds after so many jobs. */
export interface Holding {
  jobs: number;
  /** After a garbage collection. */
  heapBytes: number;
  residentBytes: number;
  fileHandles: number;
  threads: number;
  /** Timers, sockets and the like that keep the event loop going. */
  resources: number;
}

export interface LeakOptions {
  engine: Engine;
  /** Of its own: everything in it may go. */
  folder: string;
  /** A model of some hundred kilobytes. */
  model: string;
  jobs: number;
  /** Jobs between two measurements. */
  every: number;
  /** A model and a text that every fiftieth job evaluates, in a worker thread; null: none. */
  evaluated: { model: string; text: string } | null;
}

const CODECS = ['dfloat11', 'split-plane'] as const;
const EVALUATE_EVERY = 50;
/** Threads and handles that are on their way out get this long. */
const SETTLE_MS = 100;

function recipeOf(codec: (typeof CODECS)[number]) {
  return recipeSchema.parse({ lathe: 1, steps: [{ step: 'encode', codec }], overrides: [] });
}

/** Runs the jobs, one after the other, good ones, stopped ones and refused ones, and measures between them. */
export async function measureLeaks({ engine, folder, model, jobs, every, evaluated }: LeakOptions): Promise<Holding[]> {
  const output = join(folder, 'out');
  const found: Holding[] = [];
  for (let job = 0; job < jobs; job++) {
    if (job % every === 0) found.push(await holdingAfter(job));
    const isEvaluation = evaluated !== null && job % EVALUATE_EVERY === EVALUATE_EVERY - 1;
    if (isEvaluation) await evaluate(evaluated.model, evaluated.text);
    else await runJob(job);
    for (const name of readdirSync(folder)) {
      if (name !== 'model' && name !== 'home') rmSync(join(folder, name), { recursive: true });
    }
  }
  found.push(await holdingAfter(jobs));
  return found;

  function options(signal = new AbortController().signal): JobOptions {
    return { threads: 2, memoryLimitBytes: null, signal, onEvent: () => undefined };
  }

  function compress(job: number, parts: Partial<JobOptions & { resume: boolean }> = {}) {
    const recipe = recipeOf(CODECS[(job >> 3) % 2] ?? 'dfloat11');
    return engine.compress({ ...options(), model, output, recipe, resume: false, force: false, ...parts });
  }

  async function evaluate(evaluatedModel: string, text: string): Promise<void> {
    const asked = { reference: null, texts: [text], choices: null, context: 32, limitTokens: 64 };
    const rest = { tokensOut: null, noiseFloorSeed: null, resume: false, force: false };
    await engine.evaluate({ ...options(), model: evaluatedModel, ...asked, ...rest });
  }

  async function runJob(job: number): Promise<void> {
    switch (job % 8) {
      case 0:
      case 1:
        await compress(job);
        return;
      case 2:
        await engine.inspect({ ...options(), model, statistics: job % 16 === 2 });
        return;
      case 3:
        await engine.estimate({ ...options(), model, recipe: recipeOf('split-plane'), output: null });
        return;
      case 4:
        await compress(job);
        await engine.restore({
          ...options(),
          model: output,
          output: `${output}.back`,
          force: false,
          dtype: null,
          maxShardBytes: null,
        });
        return;
      case 5:
        await compress(job);
        await engine.verify({ ...options(), model: output, against: model });
        await expectCode('JOB_OUTPUT_EXISTS', () => compress(job));
        return;
      case 6:
        await stopAndResume(job);
        return;
      default:
        await expectCode('MODEL_NOT_FOUND', () =>
          engine.inspect({ ...options(), model: join(folder, 'none'), statistics: false }),
        );
        await engine.listRuns({ limit: 20, state: null });
    }
  }

  async function stopAndResume(job: number): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    const onEvent: JobOptions['onEvent'] = (event) => {
      if (event.event === 'stage' && event.stage === 'compress') controller.abort();
    };
    await expectCode('JOB_INTERRUPTED', () => compress(job, { signal, onEvent }));
    await compress(job, { resume: true });
  }
}

async function expectCode(code: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (error instanceof WorkbenchError && error.code === code) return;
    throw error;
  }
  throw new Error(`A job that had to end with ${code} ended well.`);
}

let collect: (() => void) | null = null;

/** Twice, as what a finalizer lets go is only free after the next one. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  collect ??= runInNewContext('gc') as () => void;
  for (let times = 0; times < 2; times++) {
    collect();
    await sleep(SETTLE_MS / 2);
  }
}

async function holdingAfter(jobs: number): Promise<Holding> {
  await collectGarbage();
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    jobs,
    heapBytes: process.memoryUsage().heapUsed,
    residentBytes: 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
    fileHandles: readdirSync('/proc/self/fd').length,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]),
    resources: process.getActiveResourcesInfo().length,
  };
}

/** Growth of a figure from a first measurement on, a job: the slope of the straight line through all of them. */
export function growthPerJob(found: readonly Holding[], figure: Exclude<keyof Holding, 'jobs'>): number {
  const meanJobs = mean(found.map(({ jobs }) => jobs));
  const meanFigure = mean(found.map((each) => each[figure]));
  const [above, below] = found.reduce(
    ([sum, square], each) => [
      sum + (each.jobs - meanJobs) * (each[figure] - meanFigure),
      square + (each.jobs - meanJobs) ** 2,
    ],
    [0, 0],
  );
  return below === 0 ? 0 : above / below;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
