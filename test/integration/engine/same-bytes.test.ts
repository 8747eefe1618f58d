import { rmSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, kernelsWith, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

beforeEach(() => writeMixedModel(place().at('model')));

/** `npm run soak` does the same with whole processes, more models and more commands. */
describe.each(CODECS)('compress with %s', (codec) => {
  it('writes the same bytes on one, two and three threads, and after an interruption on any of them', async () => {
    const output = place().at('out');
    const optionsOn = (threads: number) => place().compressOptions(place().at('model'), output, codec, { threads });
    const { kernels, calls } = kernelsWith(0, () => undefined);
    await place().compressBy(kernels, optionsOn(1));
    const whole = snapshotOf(output);
    for (const threads of [2, 3]) {
      rmSync(output, { recursive: true });
      await place().compress(place().at('model'), output, codec, { threads });
      expect(snapshotOf(output), `${threads} threads`).toEqual(whole);
    }
    for (const threads of [1, 2, 3]) {
      rmSync(output, { recursive: true });
      const controller = new AbortController();
      const stopping = kernelsWith(Math.ceil((calls.length * threads) / 4), () => controller.abort());
      const stopped = { ...optionsOn(4 - threads), signal: controller.signal };
      expect((await errorOf(() => place().compressBy(stopping.kernels, stopped))).code).toBe('JOB_INTERRUPTED');
      const resumed = await place().compress(place().at('model'), output, codec, { threads, resume: true });
      expect(resumed.resumed).toBe(true);
      expect(snapshotOf(output), `gone on with on ${threads} threads`).toEqual(whole);
    }
  });

  it('of what was compressed on any number of threads, restore gives the same bytes on any other', async () => {
    const source = snapshotOf(place().at('model'));
    for (const threads of [1, 2, 3]) {
      const [coded, back] = [place().at(`coded-${threads}`), place().at(`back-${threads}`)];
      await place().compress(place().at('model'), coded, codec, { threads });
      await place().restore(coded, back, { threads: 4 - threads });
      expect(snapshotOf(back), `${threads} threads`).toEqual(source);
    }
  });
});
