/**
 * A program: `node leak-program.mjs FOLDER KERNELS WORKER MODEL TEXT JOBS EVERY`; runs the jobs in an engine of its own and prints
 * what the process held, as JSON.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openEngine } from '../../workers/engine/index.ts';
import { writeMixedModel } from '../integration/lossless/mixed-model.ts';
import { growthPerJob, measureLeaks } from './measure-leaks.ts';

/** Of all jobs. */
const WARM_UP = 0.3;

const [folder = '', kernelsPath = '', inferenceWorkerPath = '', model = '', text = '', jobs, every] =
  process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const ownModel = join(folder, 'model');
writeMixedModel(ownModel);
const engine = openEngine({ kernelsPath, inferenceWorkerPath, home: join(folder, 'home') });
const evaluated = { model, text };
const found = await measureLeaks({
  engine,
  folder,
  model: ownModel,
  jobs: Number(jobs),
  every: Number(every),
  evaluated,
});
// The first jobs load code, and runs are kept until there are 200 of them.
const warmFrom = Math.floor((Number(jobs) * WARM_UP) / Number(every)) * Number(every);
const warm = found.filter(({ jobs: done }) => done >= warmFrom);
const figures = ['heapBytes', 'residentBytes', 'fileHandles', 'threads', 'resources'] as const;
const perJob = Object.fromEntries(figures.map((figure) => [figure, growthPerJob(warm, figure)]));
console.log(JSON.stringify({ found, warmFrom, perJob }));
