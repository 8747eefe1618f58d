import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { VerifyResult } from '../../../core/contract/results.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, recipeOf, useWorkplace } from './engine-fixture.ts';

const SAMPLE_MODEL = fileURLToPath(new URL('../../../examples/models/docs-llama-7m', import.meta.url));

const place = useWorkplace();

function expectAllExact({ ok, tensors, files }: VerifyResult): void {
  expect(ok).toBe(true);
  expect(tensors.filter((tensor) => !tensor.ok || tensor.bitExact !== true)).toEqual([]);
  expect(files.filter((file) => file.ok !== true)).toEqual([]);
}

describe.each(CODECS)('a model of mixed dtypes in two shards, coded with %s,', (codec) => {
  it('is verified with and without the original, and restored file by file, empty folders too', async () => {
    const model = place().at('model');
    writeMixedModel(model);
    mkdirSync(join(model, 'extras', 'hollow', 'deep'), { recursive: true });
    const before = snapshotOf(model);
    const compressed = await place().compress(model, place().at('coded'), codec);
    expect(compressed).toMatchObject({ verified: true, resumed: false, output: place().at('coded') });
    expect(compressed.storedBytes).toBeLessThan(compressed.sourceStoredBytes);
    expect(compressed.tensors).toHaveLength(26);
    expectAllExact(await place().verify(place().at('coded')));
    expectAllExact(await place().verify(place().at('coded'), model));
    const restored = await place().restore(place().at('coded'), place().at('restored'));
    expect(restored).toMatchObject({ lossless: true, filesIdentical: true });
    expect(snapshotOf(place().at('restored'))).toEqual(before);
    expect(snapshotOf(model)).toEqual(before);
  });

  it('has the same bytes at 1, 2 and 3 threads and in another place, lathe.json included', async () => {
    const model = place().at('model');
    writeMixedModel(model);
    await place().compress(model, place().at('one'), codec, { threads: 1 });
    const expected = snapshotOf(place().at('one'));
    for (const threads of [2, 3]) {
      const output = place().at(`elsewhere/${threads}`);
      await place().compress(model, output, codec, { threads });
      expect(snapshotOf(output)).toEqual(expected);
      await place().restore(output, place().at(`restored-${threads}`), { threads });
      expect(snapshotOf(place().at(`restored-${threads}`))).toEqual(snapshotOf(model));
    }
    const moved = place().at('moved/model of another name');
    writeMixedModel(moved);
    await place().compress(moved, place().at('from-moved'), codec, { threads: 2 });
    expect(snapshotOf(place().at('from-moved'))).toEqual(expected);
    const text = readFileSync(join(place().at('one'), 'lathe.json'), 'utf8');
    expect(text).not.toContain(place().folder);
  });
});

describe.each(CODECS)('the sample model, coded with %s,', (codec) => {
  it('has the same bytes at 1 and 3 threads, within the sizes that were estimated', async () => {
    const recipe = recipeOf(codec);
    const options = { ...place().options(), model: SAMPLE_MODEL, recipe, output: null };
    const { storedBytesLow, storedBytesHigh } = await place().engine.estimate(options);
    const compressed = await place().compress(SAMPLE_MODEL, place().at('one'), codec, { threads: 1 });
    await place().compress(SAMPLE_MODEL, place().at('three'), codec, { threads: 3 });
    expect(snapshotOf(place().at('three'))).toEqual(snapshotOf(place().at('one')));
    expect(compressed.storedBytes).toBeGreaterThanOrEqual(storedBytesLow);
    expect(compressed.storedBytes).toBeLessThanOrEqual(storedBytesHigh);
    await place().restore(place().at('three'), place().at('restored'), { threads: 2 });
    expect(snapshotOf(place().at('restored'))).toEqual(snapshotOf(SAMPLE_MODEL));
  });
});
