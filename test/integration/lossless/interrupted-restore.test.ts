import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canInjectFaults, readWatchedCalls, type Fault, type WatchedCall } from '../../helpers/fault-injection.ts';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf, type Snapshot } from './folder-snapshot.ts';
import { writeMixedModel } from './mixed-model.ts';

/** Beside all renames, which cannot be undone. */
const SAMPLES = 8;

describe.skipIf(!canInjectFaults)('restore --force over a folder that holds something', () => {
  const shared = makeFolder('restore-faults');
  const model = join(shared, 'model');
  const coded = join(shared, 'coded');
  const precious = join(shared, 'precious');
  let whole: Snapshot;
  let former: Snapshot;
  let calls: WatchedCall[];

  beforeAll(async () => {
    writeMixedModel(model);
    whole = snapshotOf(model);
    const place = new CompressPlace(model, 'split-plane');
    expect((await place.compress()).code).toBe(0);
    cpSync(place.output, coded, { recursive: true });
    cpSync(model, precious, { recursive: true });
    rmSync(join(precious, 'config.json'));
    former = snapshotOf(precious);
    place.remove();
    const counted = newPlace();
    expect((await restore(counted, { mode: 'count' })).code).toBe(0);
    const all = readWatchedCalls(counted.log);
    counted.remove();
    const step = all.length / SAMPLES;
    const sample = new Set(Array.from({ length: SAMPLES }, (_, index) => Math.floor((index + 0.5) * step)));
    calls = all.filter((call, index) => call.kind === 'rename' || sample.has(index));
  });

  afterAll(() => rmSync(shared, { recursive: true, force: true }));

  function newPlace(): CompressPlace {
    const place = new CompressPlace(model, 'split-plane');
    cpSync(precious, place.output, { recursive: true });
    return place;
  }

  function restore(place: CompressPlace, fault?: Fault) {
    return place.run(['restore', coded, '-o', place.output, '--force', '--threads', '1'], fault);
  }

  /** After any end the former folder or the restored one is whole, and the same command finishes. */
  async function expectNothingLost(fault: Fault, isSafe: (place: CompressPlace) => boolean): Promise<void> {
    const place = newPlace();
    try {
      await restore(place, fault);
      const found = snapshotOf(place.output);
      const isFormer = JSON.stringify(found) === JSON.stringify(former);
      const isWhole = JSON.stringify(found) === JSON.stringify(whole);
      expect(isFormer || isWhole || isSafe(place), `${JSON.stringify(fault)} left ${JSON.stringify(found)}`).toBe(true);
      expect((await restore(place)).code).toBe(0);
      expect(snapshotOf(place.output)).toEqual(whole);
      expect(place.leftovers()).toEqual([]);
    } finally {
      place.remove();
    }
  }

  it('keeps that folder in its place whatever write, sync or rename fails', async () => {
    for (const { number: at } of calls) await expectNothingLost({ mode: 'fail', at, error: 'EIO' }, () => false);
  });

  it('keeps that folder whole wherever it is killed, if beside its place between two renames', async () => {
    const isBeside = ({ output }: CompressPlace) =>
      !existsSync(output) && JSON.stringify(snapshotOf(`${output}.lathe-partial/old`)) === JSON.stringify(former);
    for (const { number: at } of calls) await expectNothingLost({ mode: 'kill-before', at }, isBeside);
  });
});
