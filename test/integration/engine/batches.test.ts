import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { planBatch } from '../../../core/contract/batch-plan.ts';
import type { BatchOptions } from '../../../workers/engine/index.ts';
import { batchJob, type RunCompress } from '../../../workers/jobs/batch-job.ts';
import { ResourceError } from '../../../core/errors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { hookedKernels, recipeOf, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

function batch(models: readonly string[], parts: Partial<BatchOptions> = {}): BatchOptions {
  const recipes = (['dfloat11', 'split-plane'] as const).map((codec) => {
    return { file: `/recipes/${codec}.yaml`, folder: '/recipes', recipe: recipeOf(codec) };
  });
  const jobs = planBatch(
    models.map((model) => place().at(model)),
    recipes,
    place().at('out'),
  );
  return { ...place().options({ threads: 2 }), name: 'test', jobs, concurrency: 2, force: false, ...parts };
}

function statuses(result: { jobs: readonly { name: string; status: string }[] }): string[] {
  return result.jobs.map(({ name, status }) => `${name} ${status}`);
}

describe('a batch', () => {
  it('makes what single runs make, side by side, and keeps it when it is run again', async () => {
    writeMixedModel(place().at('a'));
    writeMixedModel(place().at('b'));
    const first = await place().engine.runBatch(batch(['a', 'b']));
    expect(statuses(first)).toEqual(['a/dfloat11 done', 'a/split-plane done', 'b/dfloat11 done', 'b/split-plane done']);
    await place().compress(place().at('a'), place().at('single'), 'split-plane');
    expect(snapshotOf(place().at('out/a/split-plane'))).toEqual(snapshotOf(place().at('single')));
    expect(first.jobs[1]).toMatchObject({ attempts: 1, runId: expect.any(String) as string });

    const before = statSync(place().at('out/a/dfloat11/lathe.json')).mtimeMs;
    rmSync(place().at('out/b/dfloat11'), { recursive: true });
    const again = await place().engine.runBatch(batch(['a', 'b']));
    expect(statuses(again)).toEqual(['a/dfloat11 kept', 'a/split-plane kept', 'b/dfloat11 done', 'b/split-plane kept']);
    expect(again.jobs[0]).toMatchObject({ runId: null, attempts: 0, storedBytes: first.jobs[0]?.storedBytes });
    expect(statSync(place().at('out/a/dfloat11/lathe.json')).mtimeMs).toBe(before);
  });

  it('is not stopped by a job that fails, and says why it did', async () => {
    writeMixedModel(place().at('b'));
    const result = await place().engine.runBatch(batch(['a', 'b'], { concurrency: 1 }));
    expect(statuses(result)).toEqual([
      'a/dfloat11 failed',
      'a/split-plane failed',
      'b/dfloat11 done',
      'b/split-plane done',
    ]);
    expect(result.jobs[0]).toMatchObject({ storedBytes: null, error: { code: 'MODEL_NOT_FOUND' } });
    const told = place().events.filter((event): event is JobEvent & { event: 'job' } => event.event === 'job');
    expect(told.map(({ job, status }) => `${job} ${status}`)).toEqual([
      'a/dfloat11 running',
      'a/dfloat11 failed',
      'a/split-plane running',
      'a/split-plane failed',
      'b/dfloat11 running',
      'b/dfloat11 done',
      'b/split-plane running',
      'b/split-plane done',
    ]);
  });

  it.each(['model', 'output'])('does not keep an output where a byte of the %s has changed since', async (which) => {
    writeMixedModel(place().at('a'));
    await place().engine.runBatch(batch(['a']));
    const folder = place().at(which === 'model' ? 'a' : 'out/a/dfloat11');
    const name = readdirSync(folder).find((file) => file.endsWith('.safetensors')) ?? '';
    const bytes = readFileSync(join(folder, name));
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(join(folder, name), bytes);
    const again = await place().engine.runBatch(batch(['a']));
    expect(again.jobs[0]?.status).toBe('failed');
    const forced = await place().engine.runBatch(batch(['a'], { force: true }));
    expect(forced.jobs[0]?.status).toBe('done');
  });

  it('tries again what may pass, and gives up after the third time', async () => {
    writeMixedModel(place().at('a'));
    const full = new ResourceError({
      code: 'RESOURCE_DISK_FULL',
      what: 'The disk is full.',
      whatToDo: 'Free some of it.',
      retryable: true,
    });
    let tries = 0;
    const compress: RunCompress = (options) => (++tries < 3 ? Promise.reject(full) : place().engine.compress(options));
    const kernels = hookedKernels(() => undefined);
    const one = batch(['a']);
    const result = await batchJob({ ...one, jobs: one.jobs.slice(0, 1) }, kernels, compress, 1);
    expect(result.jobs[0]).toMatchObject({ status: 'done', attempts: 3 });
    const hopeless = await batchJob({ ...one, jobs: one.jobs.slice(1) }, kernels, () => Promise.reject(full), 1);
    expect(hopeless.jobs[0]).toMatchObject({ status: 'failed', attempts: 3, error: { code: 'RESOURCE_DISK_FULL' } });
  });

  it('is stopped by its signal, and goes on where it was when it is run again', async () => {
    writeMixedModel(place().at('a'));
    const stop = new AbortController();
    const onEvent = (event: JobEvent) => {
      if (event.event === 'job' && event.status === 'done') stop.abort();
    };
    const error = await errorOf(() =>
      place().engine.runBatch(batch(['a'], { concurrency: 1, signal: stop.signal, onEvent })),
    );
    expect(error).toMatchObject({
      code: 'JOB_INTERRUPTED',
      what: expect.stringContaining('1 of its 2 jobs') as string,
    });
    expect(existsSync(place().at('out/a/split-plane'))).toBe(false);
    const again = await place().engine.runBatch(batch(['a']));
    expect(statuses(again)).toEqual(['a/dfloat11 kept', 'a/split-plane done']);
  });

  it('tells one progress that never goes back', async () => {
    writeMixedModel(place().at('a'));
    await place().engine.runBatch(batch(['a']));
    const fractions = place().events.flatMap((event) => (event.event === 'progress' ? [event.fraction] : []));
    expect(fractions.length).toBeGreaterThan(0);
    expect(fractions).toEqual([...fractions].sort((one, other) => one - other));
    expect(fractions.at(-1)).toBe(1);
  });
});
