import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MeasurementCache } from '../../../workers/engine/measurement-cache.ts';
import { kernels } from '../native-kernels/kernels-fixture.ts';
import { useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();

function openCache(limitBytes = 2 ** 30) {
  const told: string[] = [];
  return { cache: new MeasurementCache(place().home, limitBytes, kernels, (message) => told.push(message)), told };
}

const NUMBERS = [
  { name: 'sums', shape: [3], values: Float64Array.of(1, -2.5, 1e300) },
  { name: 'greatest', shape: [2], values: Float32Array.of(0.5, 7) },
];

/** Without what tells others which of them are in use. */
function entryFiles(cache: MeasurementCache): string[] {
  return readdirSync(cache.folder).filter((file) => /^[0-9a-f]{64}\.(json|bin)$/.test(file));
}

/** As if nobody had used any for so long. */
function age(cache: MeasurementCache, hours: number): void {
  const then = new Date(Date.now() - hours * 3600 * 1000);
  for (const file of entryFiles(cache)) utimesSync(join(cache.folder, file), then, then);
}

/** Keeps one more, in a cache that has room for that one. */
async function press(block: number): Promise<void> {
  const { cache } = openCache(1);
  await keep(cache, block);
  await cache.close();
}

async function keep(cache: MeasurementCache, block: number) {
  await cache.keep('figures', { model: 'm', block }, { block }, NUMBERS);
}

/** The files of the only entry. */
function onlyEntry(): { header: string; data: string } {
  const files = readdirSync(join(place().home, 'cache')).map((name) => join(place().home, 'cache', name));
  return { header: files.find((file) => file.endsWith('.json'))!, data: files.find((file) => file.endsWith('.bin'))! };
}

describe('the measurement cache', () => {
  it('finds what was kept, by another cache of the same folder too, and nothing else', async () => {
    await keep(openCache().cache, 1);
    const { cache } = openCache();
    const found = await cache.find('figures', { block: 1, model: 'm' });
    expect(found?.facts).toEqual({ block: 1 });
    expect(await found?.read()).toEqual(new Map(NUMBERS.map(({ name, values }) => [name, values])));
    expect(await cache.find('figures', { model: 'm', block: 2 })).toBeNull();
    expect(await cache.find('figures', { model: 'm', block: '1' })).toBeNull();
    expect(await cache.find('others', { model: 'm', block: 1 })).toBeNull();
    expect(await cache.figures()).toMatchObject([{ kind: 'figures', entries: 1 }]);
  });

  it('takes a file over as it is', async () => {
    const { cache } = openCache();
    const path = await cache.temporaryPath();
    writeFileSync(path, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    const sections = [{ name: 'gram', dtype: 'F32' as const, shape: [2, 2], offsetBytes: 0 }];
    await cache.keepFile('gram', { block: 0 }, {}, sections, path);
    expect(existsSync(path)).toBe(false);
    expect(await (await cache.find('gram', { block: 0 }))?.read()).toEqual(
      new Map([['gram', Float32Array.of(1, 2, 3, 4)]]),
    );
  });

  it.each<[string, (entry: { header: string; data: string }) => void]>([
    ['a changed number', ({ data }) => writeFileSync(data, readFileSync(data).fill(1, 3, 4))],
    ['data cut short', ({ data }) => writeFileSync(data, readFileSync(data).subarray(0, 8))],
    ['data that are gone', ({ data }) => rmSync(data)],
    ['a header that is no JSON', ({ header }) => writeFileSync(header, '{')],
    [
      'a header of a later version',
      ({ header }) => writeFileSync(header, readFileSync(header, 'utf8').replace('"version":1', '"version":9')),
    ],
    ['an empty header', ({ header }) => writeFileSync(header, '')],
    [
      'a header of another key',
      ({ header }) =>
        writeFileSync(header, readFileSync(header, 'utf8').replace('"key":{"model":"m"', '"key":{"model":"n"')),
    ],
  ])('notices %s, says so, removes the entry and keeps a new one', async (_, damage) => {
    const { cache, told } = openCache();
    await keep(cache, 1);
    damage(onlyEntry());
    expect(await cache.find('figures', { model: 'm', block: 1 })).toBeNull();
    expect(told).toEqual([expect.stringMatching(/^An entry of the measurement cache was damaged/)]);
    expect(entryFiles(cache)).toEqual([]);
    await keep(cache, 1);
    expect(await cache.find('figures', { model: 'm', block: 1 })).not.toBeNull();
  });

  it('lets those go that were not used for longest', async () => {
    const { cache } = openCache();
    for (const block of [0, 1, 2, 3]) await keep(cache, block);
    const [entry] = await cache.figures();
    age(cache, 10);
    // Looked at just now.
    await cache.find('figures', { model: 'm', block: 2 });
    await cache.close();
    const { cache: small } = openCache((entry!.bytes / 4) * 2.5);
    await keep(small, 4);
    expect(await small.find('figures', { model: 'm', block: 2 })).not.toBeNull();
    expect(await small.find('figures', { model: 'm', block: 4 })).not.toBeNull();
    expect((await small.figures())[0]?.entries).toBe(2);
  });

  it('never lets go what is in use here, and sweeps what a crash left long ago', async () => {
    const { cache } = openCache(1);
    await press(7);
    age(cache, 48);
    const old = new Date(Date.now() - 2 * 24 * 3600 * 1000);
    // By another job, just now.
    await press(8);
    await keep(cache, 0);
    const names = [
      `.${'01'.repeat(8)}.tmp`,
      `.${'02'.repeat(8)}.tmp`,
      `${'03'.repeat(32)}.bin`,
      'mine.tmp',
      'notes.txt',
    ];
    const [left, young, orphan, ...others] = names.map((name) => join(cache.folder, name)) as [string, string, string];
    for (const path of [left, young, orphan, ...others]) writeFileSync(path, 'x');
    for (const path of [left, orphan, ...others]) utimesSync(path, old, old);
    await keep(cache, 1);
    expect((await cache.figures())[0]?.entries).toBe(3);
    expect(await cache.find('figures', { model: 'm', block: 0 })).not.toBeNull();
    expect(await cache.find('figures', { model: 'm', block: 7 })).toBeNull();
    expect(await cache.find('figures', { model: 'm', block: 8 })).not.toBeNull();
    expect([left, young, orphan].map((path) => existsSync(path))).toEqual([false, true, false]);
    // What is not ours stays, whatever it is called.
    await cache.clear();
    expect(others.map((path) => existsSync(path))).toEqual([true, true]);
    expect(existsSync(young)).toBe(true);
  });

  it('never lets go what another running job uses, however long', async () => {
    const { cache } = openCache();
    await keep(cache, 0);
    await keep(cache, 1);
    await cache.close();
    const { cache: user } = openCache();
    expect(await user.find('figures', { model: 'm', block: 1 })).not.toBeNull();
    age(cache, 10);
    await press(2);
    const { cache: other } = openCache();
    expect(await other.find('figures', { model: 'm', block: 0 })).toBeNull();
    expect(await other.find('figures', { model: 'm', block: 1 })).not.toBeNull();
    await other.close();
    await user.close();
    age(cache, 10);
    await press(3);
    expect((await cache.figures())[0]?.entries).toBe(1);
    expect(readdirSync(cache.folder)).toHaveLength(2);
  });

  it('asks nothing of what a dead process used', async () => {
    const { cache } = openCache();
    await keep(cache, 0);
    await cache.close();
    const [entry] = entryFiles(cache).map((file) => file.replace(/\..*/, ''));
    const left = ['pins', 'lock'].map((ending) => join(cache.folder, `.${'0a'.repeat(8)}.${ending}`));
    for (const path of left) writeFileSync(path, `${entry}\n`);
    age(cache, 10);
    await press(1);
    expect(await cache.find('figures', { model: 'm', block: 0 })).toBeNull();
    expect(left.map((path) => existsSync(path))).toEqual([false, false]);
  });

  it('is empty once it is cleared', async () => {
    const { cache } = openCache();
    await keep(cache, 0);
    expect((await place().engine.showCache()).entries).toBe(1);
    expect(await place().engine.clearCache({ dryRun: true })).toMatchObject({ entries: 1, dryRun: true });
    expect((await place().engine.showCache()).entries).toBe(1);
    await cache.close();
    await place().engine.clearCache({ dryRun: false });
    expect(readdirSync(cache.folder)).toEqual([]);
    expect(statSync(cache.folder).isDirectory()).toBe(true);
    expect((await place().engine.showCache()).entries).toBe(0);
  });
});
