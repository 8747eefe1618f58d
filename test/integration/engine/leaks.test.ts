import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEngine } from '../../../workers/engine/index.ts';
import { growthPerJob, measureLeaks, type Holding } from '../../soak/measure-leaks.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';

const KERNELS = fileURLToPath(new URL('../../../dist/native/lathe-kernels.node', import.meta.url));
/** Of each kind of job several; `npm run soak` runs a thousand. */
const JOBS = 64;
const EVERY = 8;
/** The first jobs load code and start threads that stay. */
const WARM_UP_JOBS = 24;
/** What compiled code takes meanwhile, and room to spare; the first loads take ten times as much. */
const HEAP_BYTES_PER_JOB = 32 << 10;

describe.skipIf(process.platform !== 'linux')('many jobs in one engine', () => {
  let folder = '';
  let found: Holding[] = [];

  beforeAll(async () => {
    // What an optimising compiler makes of hot code lies in the heap too.
    setFlagsFromString('--no-opt');
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'lathe-leaks-')));
    const model = join(folder, 'model');
    writeMixedModel(model);
    const engine = openEngine({ kernelsPath: KERNELS, home: join(folder, 'home') });
    const all = await measureLeaks({ engine, folder, model, jobs: JOBS, every: EVERY, evaluated: null });
    found = all.filter(({ jobs }) => jobs >= WARM_UP_JOBS);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('leave no file open, no thread behind and no timer running', () => {
    const [first] = found;
    const last = found.at(-1);
    expect(last?.jobs).toBe(JOBS);
    for (const figure of ['fileHandles', 'threads', 'resources'] as const) {
      expect(last?.[figure], figure).toBeLessThanOrEqual((first?.[figure] ?? 0) + 1);
    }
  });

  it('leave nothing on the heap that adds up', () => {
    expect(growthPerJob(found, 'heapBytes'), JSON.stringify(found)).toBeLessThan(HEAP_BYTES_PER_JOB);
  });
});
