import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { VerificationError } from '../../../core/errors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, diskError, hookedKernels, kernelsWith, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

beforeEach(() => writeMixedModel(place().at('model')));

describe.each(CODECS)('compress with %s', (codec) => {
  function optionsOf(output: string, signal?: AbortSignal) {
    const more = signal ? { signal } : {};
    return place().compressOptions(place().at('model'), place().at(output), codec, more);
  }

  /** Kernel calls of an undisturbed run, and what it makes. */
  async function undisturbed() {
    const { kernels, calls } = kernelsWith(0, () => undefined);
    await place().compressBy(kernels, optionsOf('whole'));
    const whole = snapshotOf(place().at('whole'));
    rmSync(place().at('whole'), { recursive: true });
    expect(new Set(calls).size).toBeGreaterThan(4);
    return { calls, whole };
  }

  async function expectResumed(whole: ReturnType<typeof snapshotOf>): Promise<void> {
    const { kernels } = kernelsWith(0, () => undefined);
    const resumed = await place().compressBy(kernels, { ...optionsOf('out'), resume: true });
    expect(resumed).toMatchObject({ resumed: true, verified: true });
    expect(snapshotOf(place().at('out'))).toEqual(whole);
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model', 'out']);
    rmSync(place().at('out'), { recursive: true });
  }

  it('stopped at any kernel call, says that it can be resumed, and is', async () => {
    const { calls, whole } = await undisturbed();
    for (let at = 1; at <= calls.length; at += 2) {
      const controller = new AbortController();
      const { kernels } = kernelsWith(at, () => controller.abort());
      const error = await errorOf(() => place().compressBy(kernels, optionsOf('out', controller.signal)));
      expect(error, `${at}: ${calls[at - 1]}`).toMatchObject({ code: 'JOB_INTERRUPTED', retryable: true });
      expect(error.whatToDo).toContain('--resume');
      expect(existsSync(place().at('out'))).toBe(false);
      await expectResumed(whole);
    }
  });

  it('stopped time and again, gets on a little each time', async () => {
    const { calls, whole } = await undisturbed();
    let stops = 0;
    for (let step = 1; ; step++) {
      const controller = new AbortController();
      const { kernels } = kernelsWith(1 + Math.ceil(calls.length / 5), () => controller.abort());
      const options = { ...optionsOf('out', controller.signal), resume: step > 1 };
      try {
        await place().compressBy(kernels, options);
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: 'JOB_INTERRUPTED' });
        stops += 1;
        // The verification is done from the start each time.
        if (stops === 4) break;
      }
    }
    expect(stops).toBeGreaterThan(2);
    await expectResumed(whole);
  });

  it('failing at any kernel call tells that failure, and is finished by resume', async () => {
    const { calls, whole } = await undisturbed();
    for (let at = 1; at <= calls.length; at += 3) {
      const { kernels } = kernelsWith(at, () => {
        throw diskError();
      });
      const error = await errorOf(() => place().compressBy(kernels, optionsOf('out')));
      expect(error).toMatchObject({ code: 'FILE_IO', what: 'The disk is gone.' });
      await expectResumed(whole);
    }
  });

  it('stopped before it begins leaves nothing, not even a journal', async () => {
    const controller = new AbortController();
    controller.abort();
    const before = snapshotOf(place().folder);
    const error = await errorOf(() =>
      place().compress(place().at('model'), place().at('deep/out'), codec, { signal: controller.signal }),
    );
    expect(error.code).toBe('JOB_CANCELLED');
    expect(snapshotOf(place().folder)).toEqual(before);
  });

  it('stopped while it plans to resume, keeps what there is to resume', async () => {
    const { calls, whole } = await undisturbed();
    const controller = new AbortController();
    const { kernels } = kernelsWith(Math.ceil(calls.length / 2), () => controller.abort());
    await errorOf(() => place().compressBy(kernels, optionsOf('out', controller.signal)));
    const { signal } = controller;
    const again = { ...optionsOf('out', signal), resume: true };
    expect((await errorOf(() => place().compressBy(kernels, again))).code).toBe('JOB_INTERRUPTED');
    const plain = await errorOf(() => place().compressBy(kernels, optionsOf('out', signal)));
    expect(plain.code).toBe('JOB_CANCELLED');
    await expectResumed(whole);
  });

  it('stopped when everything is in its place, has succeeded', async () => {
    const controller = new AbortController();
    const onEvent = (event: JobEvent) => {
      if (event.event === 'progress' && event.fraction === 1) controller.abort();
    };
    const options = { signal: controller.signal, onEvent };
    const result = await place().compress(place().at('model'), place().at('out'), codec, options);
    expect(controller.signal.aborted).toBe(true);
    expect(result.verified).toBe(true);
  });

  it('that finds a coded bit wrong keeps neither output nor partial folder', async () => {
    const { calls } = await undisturbed();
    const last = calls.lastIndexOf('decodeDfloat11') + 1 || calls.lastIndexOf('decodeSplitPlane') + 1;
    const { kernels } = kernelsWith(last, () => {
      throw new VerificationError({ code: 'VERIFY_FAILED', what: 'A bit is wrong.', whatToDo: 'Look at the memory.' });
    });
    expect((await errorOf(() => place().compressBy(kernels, optionsOf('out')))).code).toBe('VERIFY_FAILED');
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model']);
  });

  it('that finds a copied file changed since keeps neither output nor partial folder', async () => {
    let isChanged = false;
    const kernels = hookedKernels((name) => {
      if (isChanged || !name.startsWith('decode')) return;
      isChanged = true;
      writeFileSync(place().at('out.lathe-partial/new/README.md'), '# Another file\n');
    });
    const error = await errorOf(() => place().compressBy(kernels, optionsOf('out')));
    expect(error).toMatchObject({ code: 'VERIFY_FAILED', where: { file: 'README.md' } });
    expect(readdirSync(place().folder).sort()).toEqual(['home', 'model']);
  });

  it('keeps an old output through every stop, and replaces it at the end', async () => {
    place().write('out', { mine: 'precious' });
    const old = snapshotOf(place().at('out'));
    const { calls, whole } = await undisturbed();
    for (let at = 1; at <= calls.length; at += 5) {
      const controller = new AbortController();
      const { kernels } = kernelsWith(at, () => controller.abort());
      const options = { ...optionsOf('out', controller.signal), force: true };
      expect((await errorOf(() => place().compressBy(kernels, options))).code).toBe('JOB_INTERRUPTED');
      expect(snapshotOf(place().at('out'))).toEqual(old);
    }
    const refused = await errorOf(() =>
      place().compressBy(
        hookedKernels(() => undefined),
        { ...optionsOf('out'), resume: true },
      ),
    );
    expect(refused.code).toBe('JOB_OUTPUT_EXISTS');
    const options = { ...optionsOf('out'), resume: true, force: true };
    expect(
      (
        await place().compressBy(
          hookedKernels(() => undefined),
          options,
        )
      ).resumed,
    ).toBe(true);
    expect(snapshotOf(place().at('out'))).toEqual(whole);
  });

  it('writes a journal of all that happened', async () => {
    const controller = new AbortController();
    const { kernels } = kernelsWith(9, () => controller.abort());
    await errorOf(() => place().compressBy(kernels, optionsOf('out', controller.signal)));
    const { kernels: failing } = kernelsWith(3, () => {
      throw diskError();
    });
    await errorOf(() => place().compressBy(failing, { ...optionsOf('out'), resume: true }));
    const { runId } = await place().compress(place().at('model'), place().at('out'), codec, { resume: true });
    expect(readdirSync(join(place().home, 'runs'))).toEqual([runId]);
    const text = readFileSync(join(place().home, 'runs', runId, 'journal.jsonl'), 'utf8');
    const types = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.filter((type) => !['item', 'plan', 'stage'].includes(type))).toEqual([
      'run',
      'interrupted',
      'resumed',
      'failed',
      'resumed',
      'committing',
      'done',
    ]);
    expect(types).toContain('plan');
    expect(types.filter((type) => type === 'stage').length).toBeGreaterThanOrEqual(3);
  });
});
