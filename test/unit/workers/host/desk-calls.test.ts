import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeskSettings, FolderListing, RecentModels, SampleFiles } from '../../../../core/contract/desk.ts';
import type { PresetCard } from '../../../../core/contract/preset-cards.ts';
import type { JobEvent } from '../../../../core/contract/progress.ts';
import { ModelError, type WorkbenchError } from '../../../../core/errors.ts';
import { ResourcePool } from '../../../../core/scheduling/resource-pool.ts';
import type { Engine } from '../../../../workers/engine/index.ts';
import { connectEngine, type RemoteEngine } from '../../../../workers/host/connect-engine.ts';
import { openDesk } from '../../../../workers/host/open-desk.ts';
import { EngineServer } from '../../../../workers/host/serve-engine.ts';
import { engineRoad } from '../../../helpers/engine-road.ts';
import { CALIBRATED, COMPRESSED, EXPORTED, fakeEngine, INSPECTED, RUN } from '../../../helpers/fake-engine.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-desk-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (...names: string[]) => join(folder, ...names);

function put(...names: string[]) {
  mkdirSync(at(...names.slice(0, -1)), { recursive: true });
  writeFileSync(at(...names), 'data');
}

async function connect(changes: Partial<Engine> = {}, examplesFolder: string | null = null): Promise<RemoteEngine> {
  const server = new EngineServer({
    engine: fakeEngine(changes),
    desk: openDesk({ home: at('home', 'lathe'), userFolder: folder, examplesFolder }),
    pool: new ResourcePool({ threads: 3, memoryBytes: null }),
    memoryLimitBytes: null,
    concurrency: 1,
    version: '1.2.3',
  });
  const { driver, engine } = engineRoad();
  server.connect(engine);
  return connectEngine(driver);
}

describe('recipes over a channel', () => {
  it('shows every preset with its name, what it is for, and whether it wants calibration texts', async () => {
    const { presets } = (await (await connect()).call('presets', {})) as { presets: PresetCard[] };
    expect(presets.find(({ name }) => name === 'lossless-dfloat11')).toMatchObject({
      title: 'lossless DFloat11',
      comment: expect.stringMatching(/^Codes the BF16 linear maps[^#]*\nEvery file[^#]*restore`\.$/) as string,
      text: expect.stringContaining('codec: dfloat11') as string,
      needsCalibration: false,
    });
    const needing = presets.filter(({ needsCalibration }) => needsCalibration).map(({ name }) => name);
    expect(needing).toEqual(['q4_k_m-gptq', 'dp-5.5', 'dp-4.5', 'dp-3.5', 'dp-3']);
  });

  it('parses a recipe, and says where one is wrong', async () => {
    const remote = await connect();
    const text = 'lathe: 1\nsteps:\n  - step: quantize\n    method: gptq\n    format: q4_k_m\n';
    expect(await remote.call('recipe.parse', { text, calibrationTexts: ['/a.txt'] })).toMatchObject({
      recipe: { lathe: 1, steps: [{ format: 'q4_k_m' }], calibration: { text: ['/a.txt'] } },
    });
    const error = await remote
      .call('recipe.parse', { text, calibrationTexts: [] })
      .catch((thrown: unknown) => thrown as WorkbenchError);
    expect(error).toMatchObject({ code: 'RECIPE_INVALID_VALUE', where: { line: 4, column: 5 } });
    expect(await remote.call('recipe.schema', {})).toMatchObject({ title: 'Lathe recipe' });
  });
});

describe('jobs and runs over a channel', () => {
  it('exports, calibrates and goes on with runs, in the queue', async () => {
    const asked: object[] = [];
    const note = <Result>(result: Result) => {
      return ({ threads, scheduling, ...rest }: { threads: number; scheduling?: unknown }) => {
        asked.push({ ...rest, threads, isQueued: scheduling !== undefined });
        return Promise.resolve(result);
      };
    };
    const remote = await connect({
      exportGguf: note(EXPORTED),
      calibrate: note(CALIBRATED),
      resumeRun: note({ command: 'compress' as const, result: COMPRESSED }),
    });
    const shown = { texts: ['/t.txt'], sequences: 4, sequenceLength: 64, seed: 0 };
    const exported = { model: '/m', output: '/o.gguf', type: 'Q4_K_M' as const, calibration: shown, imatrix: null };
    const how = { method: 'gptq' as const, hasTokenizer: true, force: false };
    expect(await remote.call('export', { ...exported, ...how, queue: { threads: 2 } })).toEqual(EXPORTED);
    expect(await remote.call('calibrate', { model: '/m', ...shown, gram: true })).toEqual(CALIBRATED);
    expect(await remote.call('resume', { run: '2026' })).toEqual({ command: 'compress', result: COMPRESSED });
    expect(asked).toMatchObject([
      { ...exported, ...how, threads: 2, isQueued: true },
      { model: '/m', ...shown, gram: true, threads: 3, isQueued: true },
      { run: '2026', isQueued: true },
    ]);
  });

  it('lists, shows and compares runs, and shows and clears the cache', async () => {
    const asked: unknown[] = [];
    const remote = await connect({
      listRuns: (options) => {
        asked.push(options);
        return Promise.resolve({ schema: 1, runs: [RUN], unreadable: [], more: 0 });
      },
    });
    expect(await remote.call('runs.list', { limit: 5 })).toMatchObject({ runs: [{ runId: RUN.runId }] });
    expect(asked).toEqual([{ limit: 5, state: null }]);
    expect(await remote.call('runs.show', { id: RUN.runId })).toMatchObject({ run: { runId: RUN.runId } });
    expect(await remote.call('runs.compare', { ids: ['a', 'b'] })).toMatchObject({ figures: [] });
    expect(await remote.call('cache.show', {})).toMatchObject({ entries: 1 });
    expect(await remote.call('cache.clear', {})).toMatchObject({ dryRun: false });
  });

  it('inspects with statistics', async () => {
    const remote = await connect({
      inspect: ({ statistics }) => Promise.resolve({ ...INSPECTED, notes: [`statistics: ${statistics}`] }),
    });
    const inspected = await remote.call('inspect', { model: '/m', statistics: true });
    expect(inspected).toMatchObject({ notes: ['statistics: true'] });
  });
});

describe('files over a channel', () => {
  it("lists a folder's own entries, folders first, and tells models by the names in them", async () => {
    put('with weights', 'config.json');
    put('with weights', 'model-00001-of-00002.safetensors');
    put('only config', 'config.json');
    put('coded', 'lathe.json');
    put('planes', 'model.splane');
    put('gguf', 'a.gguf');
    put('deep', 'below', 'a.gguf');
    put('a10.txt');
    put('a9.GGUF');
    put('m.safetensors');
    put('.hidden');
    symlinkSync(at('gguf'), at('link'));
    symlinkSync(at('nowhere'), at('broken'));
    const remote = await connect();
    const listing = (await remote.call('files.list', { path: null })) as FolderListing;
    expect(listing).toMatchObject({ path: folder, parent: tmpdir(), more: 0 });
    expect(listing.entries.map(({ name, kind, isModel }) => `${kind} ${name}${isModel ? ' *' : ''}`)).toEqual([
      'folder coded *',
      'folder deep',
      'folder gguf *',
      'folder link *',
      'folder only config',
      'folder planes *',
      'folder with weights *',
      'file a9.GGUF *',
      'file a10.txt',
      'file m.safetensors *',
    ]);
    expect(listing.entries.at(-1)).toMatchObject({ sizeBytes: 4 });
    expect(await remote.call('files.list', { path: '/' })).toMatchObject({ path: '/', parent: null });
    const error = await remote.call('files.list', { path: at('none') }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('tells how many entries are left out of a huge folder', async () => {
    for (let n = 0; n < 5002; n++) writeFileSync(at(`${n}`), '');
    mkdirSync(at('z'));
    const { entries, more } = (await (await connect()).call('files.list', { path: folder })) as FolderListing;
    expect(entries).toHaveLength(5000);
    expect(entries[0]?.name).toBe('z');
    expect(more).toBe(3);
  });

  it('says where the samples are, and null for those that did not come along', async () => {
    put('examples', 'texts', 'docs.test.txt');
    const sample = (await (await connect({}, at('examples'))).call('sample', {})) as SampleFiles;
    const evaluationText = at('examples', 'texts', 'docs.test.txt');
    expect(sample).toEqual({ model: null, calibrationText: null, evaluationText });
    expect(await (await connect()).call('sample', {})).toMatchObject({ evaluationText: null });
  });
});

describe('recent models', () => {
  const paths = async (remote: RemoteEngine) =>
    ((await remote.call('models.recent', {})) as RecentModels).models.map(({ path }) => path);

  it('keeps what was opened, last first, over starts of the engine', async () => {
    put('a', 'config.json');
    const remote = await connect();
    expect(await paths(remote)).toEqual([]);
    expect(await remote.call('models.open', { path: at('a') })).toEqual(INSPECTED);
    await remote.call('models.open', { path: at('b') });
    await remote.call('models.open', { path: at('a') });
    const again = await connect();
    expect(await again.call('models.recent', {})).toEqual({
      models: [
        { path: at('a'), openedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string, isMissing: false },
        { path: at('b'), openedAt: expect.any(String) as string, isMissing: true },
      ],
    });
    await again.call('models.forget', { path: at('a') });
    expect(await paths(again)).toEqual([at('b')]);
  });

  it('keeps at most 20, however fast they are opened', async () => {
    const remote = await connect();
    await Promise.all(Array.from({ length: 25 }, (_, n) => remote.call('models.open', { path: at(`${n}`) })));
    expect(await paths(remote)).toHaveLength(20);
  });

  it('leaves out what could not be opened', async () => {
    const missing = new ModelError({ code: 'MODEL_NOT_FOUND', what: 'Nothing there.', whatToDo: 'Look.' });
    const remote = await connect({ inspect: () => Promise.reject(missing) });
    await expect(remote.call('models.open', { path: at('a') })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await paths(remote)).toEqual([]);
  });

  it('opens a model all the same where nothing can be kept, and says so', async () => {
    put('home');
    const remote = await connect();
    const events: JobEvent[] = [];
    const opened = remote.call('models.open', { path: at('a') }, { onEvent: (event) => events.push(event) });
    expect(await opened).toEqual(INSPECTED);
    expect(events).toMatchObject([{ event: 'warning' }]);
  });

  it.each(['', '{"schema":1,"models":3}', '{"schema":2,"models":[]}', 'null'])(
    'begins anew where the file holds %j',
    async (content) => {
      put('home', 'lathe', 'recent.json');
      writeFileSync(at('home', 'lathe', 'recent.json'), content);
      const remote = await connect();
      expect(await paths(remote)).toEqual([]);
      await remote.call('models.open', { path: at('a') });
      expect(await paths(remote)).toEqual([at('a')]);
    },
  );
});

describe('settings', () => {
  it('keeps those that were set, and leaves the others as they were', async () => {
    const remote = await connect();
    const defaults: DeskSettings = { theme: 'system', threads: null, memoryLimitBytes: null };
    expect(await remote.call('settings.get', {})).toEqual(defaults);
    expect(await remote.call('settings.set', { theme: 'dark', threads: 4 })).toMatchObject({ threads: 4 });
    await remote.call('settings.set', { threads: null, memoryLimitBytes: 1 << 30 });
    const kept = { theme: 'dark', threads: null, memoryLimitBytes: 1 << 30 };
    expect(await (await connect()).call('settings.get', {})).toEqual(kept);
    expect(JSON.parse(readFileSync(at('home', 'lathe', 'settings.json'), 'utf8'))).toEqual({ schema: 1, ...kept });
  });

  it.each([{ theme: 'blue' }, { threads: 0 }, { memoryLimitBytes: 1.5 }, { colour: 'red' }])(
    'refuses %j',
    async (change) => {
      const remote = await connect();
      await expect(remote.call('settings.set', change as never)).rejects.toMatchObject({ code: 'ENGINE_PROTOCOL' });
    },
  );
});
