/** A thousand jobs in one process: what it holds must not grow with them. */
import { join } from 'node:path';
import { bundleProgram } from '../../scripts/bundle-program.mjs';
import { inRepository } from '../../scripts/run-command.mjs';
import { outputOf } from '../../scripts/time-process.mjs';
import { SAMPLE } from './killed-commands.mjs';

const TEXT = inRepository('examples/texts/docs.test.txt');

/**
 * Growth over all jobs after the warm-up, at most. A job that kept its journal's buffer or a listener would be seen: a
 * kilobyte a job is more than the first, one handle in a hundred jobs more than the second. Resident memory is what the
 * allocator has not given back, and jumps by tens of megabytes with the arenas of an evaluation.
 */
const BOUNDS = {
  heapBytes: 1 << 19,
  residentBytes: 64 << 20,
  fileHandles: 2,
  threads: 2,
  resources: 2,
};

/** What an optimising compiler makes of hot code grows for hours, lies in the heap, and is nobody's leak. */
const PLAIN_CODE = '--no-opt';

/** @returns { jobs, found, growth: by figure, bounds, problems } */
export async function measureEngineLeaks(work, jobs, every) {
  const program = await bundleProgram('test/soak/leak-program.ts');
  const args = [
    ...[PLAIN_CODE, program, join(work, 'leaks'), inRepository('dist/native/lathe-kernels.node')],
    ...[inRepository('dist/cli/inference-worker.js'), SAMPLE, TEXT, String(jobs), String(every)],
  ];
  const env = { ORT_DISABLE_TELEMETRY: '1' };
  const { found, warmFrom, perJob } = JSON.parse(await outputOf(process.execPath, args, { env }));
  const growth = Object.fromEntries(Object.entries(perJob).map(([figure, each]) => [figure, each * (jobs - warmFrom)]));
  const problems = Object.entries(BOUNDS)
    .filter(([figure, bound]) => growth[figure] > bound)
    .map(
      ([figure, bound]) =>
        `${figure} grew by ${growth[figure].toFixed(1)} over ${jobs - warmFrom} jobs, bound ${bound}.`,
    );
  return { jobs, warmFrom, found, growth, bounds: BOUNDS, problems };
}
