import { existsSync, rmSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { VerificationError } from '../../../core/errors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf, snapshotOutsideHome } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, diskError, hookedKernels, kernelsWith, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

beforeEach(() => writeMixedModel(place().at('model')));

describe.each(CODECS)('other jobs on a %s folder', (codec) => {
  beforeEach(async () => {
    await place().compress(place().at('model'), place().at('coded'), codec);
    rmSync(place().home, { recursive: true });
  });

  it('restore stopped or failing at any kernel call leaves nothing, an old output as it was', async () => {
    place().write('out', { mine: 'precious' });
    const before = snapshotOutsideHome(place().folder);
    const options = place().restoreOptions(place().at('coded'), place().at('out'), { force: true });
    const { kernels: counting, calls } = kernelsWith(0, () => undefined);
    await place().restoreBy(counting, { ...options, output: place().at('other') });
    expect(snapshotOf(place().at('other'))).toEqual(snapshotOf(place().at('model')));
    rmSync(place().at('other'), { recursive: true });
    for (let at = 1; at <= calls.length; at += 2) {
      const controller = new AbortController();
      const stopped = kernelsWith(at, () => controller.abort());
      const failing = kernelsWith(at, () => {
        throw diskError();
      });
      const { signal } = controller;
      expect((await errorOf(() => place().restoreBy(stopped.kernels, { ...options, signal }))).code).toBe(
        'JOB_CANCELLED',
      );
      expect((await errorOf(() => place().restoreBy(failing.kernels, options))).code).toBe('FILE_IO');
      expect(snapshotOutsideHome(place().folder)).toEqual(before);
    }
  });

  it('restore and compress tell why they failed, also where what they wrote cannot be removed', async () => {
    const lockFile = () => ({
      release: () => {
        throw diskError();
      },
    });
    const findFault = () => {
      throw new VerificationError({ code: 'VERIFY_FAILED', what: 'A bit is wrong.', whatToDo: 'Look at the memory.' });
    };
    const unremovable = () => kernelsWith(3, findFault, { lockFile }).kernels;
    const compress = place().compressOptions(place().at('model'), place().at('one'), codec);
    const restore = place().restoreOptions(place().at('coded'), place().at('two'));
    for (const call of [
      () => place().compressBy(unremovable(), compress),
      () => place().restoreBy(unremovable(), restore),
    ]) {
      place().events.length = 0;
      expect(await errorOf(call)).toMatchObject({ code: 'VERIFY_FAILED', what: 'A bit is wrong.' });
      expect(place().events.filter(({ event }) => event === 'warning')).toMatchObject([
        { message: expect.stringContaining('could not be removed. The disk is gone.') as string },
      ]);
    }
  });

  it('restore notices a file that goes while it writes the others', async () => {
    const losing = hookedKernels((name, [from]) => {
      if (name !== 'copyFile' || !String(from).endsWith('tokenizer_config.json')) return;
      rmSync(place().at('out.lathe-partial/new/README.md'));
    });
    const options = place().restoreOptions(place().at('coded'), place().at('out'));
    const error = await errorOf(() => place().restoreBy(losing, options));
    expect(error).toMatchObject({ code: 'VERIFY_FAILED', where: { file: 'README.md' } });
    expect(existsSync(place().at('out'))).toBe(false);
  });

  it('restore, verify, inspect and estimate stopped before they begin are cancelled and write nothing', async () => {
    const controller = new AbortController();
    controller.abort();
    const { signal } = controller;
    const before = snapshotOutsideHome(place().folder);
    const model = place().at('model');
    const { recipe } = place().compressOptions(model, '', codec);
    const options = place().options({ signal });
    for (const call of [
      () => place().restore(place().at('coded'), place().at('out'), { signal }),
      () => place().verify(place().at('coded'), null, { signal }),
      () => place().engine.inspect({ ...options, model, statistics: false }),
      () => place().engine.inspect({ ...options, model, statistics: true }),
      () => place().engine.estimate({ ...options, model, recipe, output: null }),
    ]) {
      expect((await errorOf(call)).code).toBe('JOB_CANCELLED');
    }
    expect(snapshotOutsideHome(place().folder)).toEqual(before);
  });

  it('verify is cancelled at whatever it does, and does not take that for a fault of the folder', async () => {
    let stops = 0;
    for (const stage of ['hash', 'decode']) {
      const controller = new AbortController();
      const onEvent = (event: JobEvent) => {
        if (event.event !== 'stage' || event.stage !== stage) return;
        stops += 1;
        controller.abort();
      };
      const call = () =>
        place().verify(place().at('coded'), place().at('model'), { signal: controller.signal, onEvent });
      expect((await errorOf(call)).code).toBe('JOB_CANCELLED');
    }
    expect(stops).toBe(2);
  });
});

describe.each(CODECS)('progress with %s', (codec) => {
  it('of every job begins at the plan, never goes back, and ends at 1', async () => {
    const model = place().at('model');
    const { recipe } = place().compressOptions(model, '', codec);
    const jobs: Record<string, () => Promise<unknown>> = {
      compress: () => place().compress(model, place().at('coded'), codec),
      verify: () => place().verify(place().at('coded'), model),
      restore: () => place().restore(place().at('coded'), place().at('restored')),
      inspect: () => place().engine.inspect({ ...place().options(), model, statistics: true }),
      estimate: () => place().engine.estimate({ ...place().options(), model, recipe, output: null }),
    };
    for (const [name, run] of Object.entries(jobs)) {
      place().events.length = 0;
      await run();
      const progress = place().events.flatMap((event) =>
        event.event === 'progress' && 'doneBytes' in event ? [event] : [],
      );
      const fractions = progress.map(({ fraction }) => fraction);
      expect(fractions, name).toEqual([...fractions].sort((a, b) => a - b));
      expect(fractions[fractions.length - 1], name).toBe(1);
      expect(progress.filter(({ doneBytes, totalBytes }) => doneBytes > totalBytes)).toEqual([]);
      const [last] = progress.slice(-1);
      expect(last?.doneBytes, name).toBe(last?.totalBytes);
      expect(last?.totalBytes, name).toBeGreaterThan(0);
    }
  });
});
