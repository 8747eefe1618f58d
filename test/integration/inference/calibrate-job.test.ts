/** The job around a made-up calibrator: what it asks for, and what it refuses. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Kernels } from '../../../core/kernels/kernels.ts';
import { ResourcePool } from '../../../core/scheduling/resource-pool.ts';
import { openEngine, type Engine } from '../../../workers/engine/index.ts';
import type { CalibrateOptions, JobOptions } from '../../../workers/engine/job-options.ts';
import { MeasurementCache } from '../../../workers/engine/measurement-cache.ts';
import type { CalibrationStep, CalibratorFacts, OpenCalibrator } from '../../../workers/inference/calibrator.ts';
import { measureInputs } from '../../../workers/jobs/calibrate-job.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';
import { ALPHABET, kernels, letters, useEvaluationPlace } from '../evaluate/evaluation-fixture.ts';

const place = useEvaluationPlace();

type Asked = Pick<CalibrateOptions, 'texts' | 'sequences' | 'sequenceLength' | 'seed'>;

interface FakeOptions {
  facts?: Partial<CalibratorFacts>;
  leastBytes?: number;
  onAdvance?: (step: CalibrationStep) => void | Promise<void>;
}

/** A model of two blocks whose maps are given nothing but ones. */
function fakeCalibrators({ facts = {}, leastBytes = 1, onAdvance }: FakeOptions = {}): OpenCalibrator {
  return () =>
    Promise.resolve({
      facts: {
        vocabularySize: ALPHABET.length,
        positions: null,
        blocks: 2,
        gramBytes: [[16], [16]],
        runtime: 'one 1.0',
        ...facts,
      },
      reserve: () => Promise.resolve({ peakMemoryBytes: leastBytes, leastMemoryBytes: leastBytes }),
      begin: () => Promise.resolve(),
      async advance(step) {
        await onAdvance?.(step);
        if (step.folder !== null) writeFileSync(join(step.folder, '0.gram'), new Uint8Array(16));
        const [sums, squares] = [Float64Array.of(8, 8), Float64Array.of(8, 8)];
        return [{ maps: [`block.${step.block}`], columns: 2, rows: 8, sums, squares, greatest: Float32Array.of(1, 1) }];
      },
      close: () => Promise.resolve(),
    });
}

interface Surroundings {
  home?: string;
  limitBytes?: number;
  using?: Kernels;
}

async function measure(
  openCalibrator: OpenCalibrator,
  parts: Partial<CalibrateOptions> = {},
  { home = place().home, limitBytes = 2 ** 30, using = kernels }: Surroundings = {},
) {
  const shape = { sequences: 4, sequenceLength: 8, seed: 0, gram: false };
  const { threads, memoryLimitBytes, signal, onEvent } = place().options({});
  const options = { threads, memoryLimitBytes, signal, onEvent, model: place().at('a'), texts: [], ...shape, ...parts };
  const cache = new MeasurementCache(home, limitBytes, using, (message) => expect.unreachable(message));
  try {
    return await measureInputs(options, { kernels: using, cache, openCalibrator });
  } finally {
    await cache.close();
  }
}

test('calibrations of one queue wait for each other where memory does not suffice for both', async () => {
  place().writeModel('a');
  const texts = [place().write('text.txt', letters(200))];
  const pool = new ResourcePool({ threads: 2, memoryBytes: 1.5 * 2 ** 30 });
  const order: string[] = [];
  const jobs = ['one', 'two'].map((name, rank) => {
    const { signal } = new AbortController();
    const control = { signal, rank: () => [rank], isPaused: () => false, whenGoing: () => Promise.resolve() };
    // Slow enough for the other one to come in between, if it may.
    const onAdvance = async () => {
      order.push(name);
      await new Promise((proceed) => setTimeout(proceed, 10));
    };
    const calibrators = fakeCalibrators({ leastBytes: 2 ** 30, onAdvance });
    const parts = { texts, memoryLimitBytes: 2 ** 31, scheduling: { pool, control } };
    return measure(calibrators, parts, { home: place().at(name) });
  });
  await Promise.all(jobs);
  expect(order.slice().sort()).toEqual(['one', 'one', 'two', 'two']);
  expect(order[0]).toBe(order[1]);
});

test('sequences longer than the learned positions are refused before a text is read', async () => {
  place().writeModel('a');
  const calibrators = fakeCalibrators({ facts: { positions: { count: 7, isLimit: true } } });
  const error = await errorOf(() => measure(calibrators, { texts: [place().at('none.txt')] }));
  expect(error).toMatchObject({ code: 'MODEL_SEQUENCE_TOO_LONG', where: { file: place().at('a') } });
  expect(error.message).toMatch(/7 positions.*--sequence-length 7/);
  expect(existsSync(place().home)).toBe(false);
  const texts = [place().write('text.txt', letters(200))];
  const rotary = fakeCalibrators({ facts: { positions: { count: 7, isLimit: false } } });
  expect((await measure(rotary, { texts })).notes).toEqual([expect.stringContaining('was made for 7')]);
});

test('figures of another runtime, or of other kernels, are measured anew', async () => {
  place().writeModel('a');
  const texts = [place().write('text.txt', letters(200))];
  const measuredBy = async (runtime: string, version?: string) => {
    const described = version === undefined ? {} : { describe: () => ({ ...kernels.describe(), version }) };
    const calibrators = fakeCalibrators({ facts: { runtime } });
    return (await measure(calibrators, { texts }, { using: { ...kernels, ...described } })).measuredBlocks;
  };
  expect(await measuredBy('one 1.0')).toBe(2);
  expect(await measuredBy('one 1.0')).toBe(0);
  expect(await measuredBy('one 1.1')).toBe(2);
  expect(await measuredBy('one 1.0', '0.0.0')).toBe(2);
  expect(await measuredBy('one 1.0')).toBe(0);
});

test('Gram matrices that the cache may not hold are refused before anything is done', async () => {
  place().writeModel('a');
  const asked = { texts: [place().write('text.txt', letters(200))], gram: true };
  const calibrators = fakeCalibrators({ onAdvance: () => expect.unreachable() });
  const error = await errorOf(() => measure(calibrators, asked, { limitBytes: 31 }));
  expect(error).toMatchObject({ code: 'RESOURCE_CACHE_LIMIT' });
  expect(error.message).toMatch(/take 32 B, .* may hold 31 B\. Set LATHE_CACHE_LIMIT to 1MiB/);
  expect(existsSync(place().home)).toBe(false);
  expect((await measure(fakeCalibrators(), asked, { limitBytes: 32 })).measuredBlocks).toBe(2);
});

test('so are those that the disk has no room for, without those that are known', async () => {
  place().writeModel('a');
  const asked = { texts: [place().write('text.txt', letters(200))], gram: true };
  const blocks: number[] = [];
  const calibrators = fakeCalibrators({ onAdvance: ({ block }) => void blocks.push(block) });
  const withFree = (bytes: number | null) =>
    measure(calibrators, asked, { using: { ...kernels, freeDiskBytes: () => bytes } });
  const error = await errorOf(() => withFree(31));
  expect(error).toMatchObject({ code: 'RESOURCE_DISK_FULL', where: { file: join(place().home, 'cache') } });
  expect(error.message).toMatch(/take 32 B, .* has 31 B free/);
  expect([blocks, existsSync(place().home)]).toEqual([[], false]);
  expect((await withFree(32)).measuredBlocks).toBe(2);
  expect((await withFree(0)).measuredBlocks).toBe(0);
  const folder = join(place().home, 'cache');
  const header = readdirSync(folder).find((file) => {
    return file.endsWith('.json') && /"input-gram".*"block":1/.test(readFileSync(join(folder, file), 'utf8'));
  })!;
  rmSync(join(folder, header));
  expect((await errorOf(() => withFree(15))).message).toMatch(/take 16 B, .* has 15 B free/);
  // A system that does not tell.
  expect((await withFree(null)).measuredBlocks).toBe(1);
});

test.each<[string, (engine: Engine, job: JobOptions, inputs: Asked) => Promise<unknown>]>([
  ['calibrate', (engine, job, inputs) => engine.calibrate({ ...job, model: SAMPLE_MODEL, ...inputs, gram: false })],
  ['inspect', (engine, job, inputs) => engine.inspect({ ...job, model: SAMPLE_MODEL, statistics: false, inputs })],
  [
    'export',
    (engine, job, calibration) =>
      engine.exportGguf({
        ...job,
        ...{ model: SAMPLE_MODEL, output: place().at('out.gguf'), type: 'Q4_0', calibration, imatrix: null },
        ...{ method: 'rtn', hasTokenizer: false, force: false },
      }),
  ],
])('%s takes what calibrating needs from the pool of its queue', async (_, run) => {
  const fileOf = (path: string) => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));
  const engine = openEngine({
    kernelsPath: fileOf('native/lathe-kernels.node'),
    inferenceWorkerPath: fileOf('cli/inference-worker.js'),
    home: place().home,
  });
  const { signal } = new AbortController();
  const control = { signal, rank: () => [0], isPaused: () => false, whenGoing: () => Promise.resolve() };
  // Enough for reading and writing, not for running a model.
  const pool = new ResourcePool({ threads: 1, memoryBytes: 150 << 20 });
  const job = { threads: 1, memoryLimitBytes: null, signal, onEvent: () => undefined, scheduling: { pool, control } };
  const text = place().write('text.txt', letters(4000));
  const error = await errorOf(() => run(engine, job, { texts: [text], sequences: 2, sequenceLength: 32, seed: 0 }));
  expect(error).toMatchObject({ code: 'RESOURCE_MEMORY_LIMIT' });
  expect(error.message).toContain('this calibration');
});
