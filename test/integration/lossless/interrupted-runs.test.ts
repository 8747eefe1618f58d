import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canInjectFaults, readWatchedCalls } from '../../helpers/fault-injection.ts';
import { CompressPlace, makeFolder, recipeOf, type Codec } from './compress-place.ts';
import { snapshotOf, type Snapshot } from './folder-snapshot.ts';
import { randomNumbers, writeMixedModel } from './mixed-model.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/cli/lathe.js', import.meta.url));
const SAMPLE_MODEL = fileURLToPath(new URL('../../../examples/models/docs-llama-7m', import.meta.url));
const MINUTE_MS = 60_000;

/** Lines of the one run's journal, by type. */
function journalTypes(home: string): string[] {
  const runs = join(home, 'runs');
  if (!existsSync(runs)) return [];
  const lines = readdirSync(runs).flatMap((run) => {
    const path = join(runs, run, 'journal.jsonl');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  });
  return lines.flatMap((line) => /^\{"type":"(\w+)"/.exec(line)?.[1] ?? []);
}

describe.each<Codec>(['dfloat11', 'split-plane'])(
  'compress of the sample model with %s, killed at a random time',
  (codec) => {
    let place: CompressPlace;

    beforeEach(() => {
      place = new CompressPlace(SAMPLE_MODEL, codec);
    });
    afterEach(() => place.remove());

    function start() {
      const args = [
        'compress',
        SAMPLE_MODEL,
        '-o',
        place.output,
        '--recipe',
        place.recipe,
        '--threads',
        '2',
        '--resume',
      ];
      const env = { ...process.env, LATHE_HOME: place.home, LATHE_JOURNAL_GROUP_MS: '0' };
      const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: 'ignore' });
      return {
        child,
        ended: new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_, signal) => resolve(signal))),
      };
    }

    async function untilItems(count: number): Promise<void> {
      for (;;) {
        const types = journalTypes(place.home);
        if (types.filter((type) => type === 'item').length >= count || types.includes('done')) return;
        await wait(1);
      }
    }

    it(
      'between its first and last record, is finished by --resume to the same bytes, killed again on the way',
      async () => {
        const whole = new CompressPlace(SAMPLE_MODEL, codec);
        expect((await whole.compress()).code).toBe(0);
        const items = journalTypes(whole.home).filter((type) => type === 'item').length;
        const expected = snapshotOf(whole.output);
        whole.remove();
        const next = randomNumbers(Date.now());
        let kills = 0;
        for (let round = 0; round < 4; round++) {
          rmSync(place.output, { recursive: true, force: true });
          rmSync(place.home, { recursive: true, force: true });
          for (let done = 1; done < items; done += 1 + (next() % Math.ceil(items / 2))) {
            const { child, ended } = start();
            await untilItems(done);
            await wait(next() % 20);
            child.kill('SIGKILL');
            if ((await ended) === 'SIGKILL') kills += 1;
            const found = snapshotOf(place.output);
            if (found !== null) expect(found).toEqual(expected);
          }
          const resumed = await place.compress(['--resume']);
          expect(resumed.code, resumed.stderr).toBe(0);
          expect(snapshotOf(place.output)).toEqual(expected);
          expect(place.leftovers()).toEqual([]);
        }
        expect(kills).toBeGreaterThan(2);
      },
      5 * MINUTE_MS,
    );
  },
);

describe.skipIf(!canInjectFaults)('an interrupted run', () => {
  const shared = makeFolder('interrupted');
  const original = join(shared, 'original');
  const model = join(shared, 'model');
  let whole: Snapshot;
  let place: CompressPlace;

  beforeAll(async () => {
    writeMixedModel(original);
    cpSync(original, model, { recursive: true });
    const undisturbed = new CompressPlace(model, 'dfloat11');
    expect((await undisturbed.compress()).code).toBe(0);
    whole = snapshotOf(undisturbed.output);
    undisturbed.remove();
  });

  beforeEach(() => {
    rmSync(model, { recursive: true, force: true });
    cpSync(original, model, { recursive: true, preserveTimestamps: true });
    place = new CompressPlace(model, 'dfloat11');
  });

  afterEach(() => place.remove());
  afterAll(() => rmSync(shared, { recursive: true, force: true }));

  /** Kills a run once a few items are done. */
  async function killHalfway(): Promise<void> {
    const probe = new CompressPlace(model, 'dfloat11');
    await probe.compress([], { mode: 'count' });
    const at = Math.floor(readWatchedCalls(probe.log).length / 2);
    probe.remove();
    expect((await place.compress([], { mode: 'kill-before', at })).signal).toBe('SIGKILL');
    expect(journalTypes(place.home)).toContain('item');
  }

  async function expectMismatch(more: string[], named: RegExp): Promise<void> {
    const before = snapshotOf(join(place.folder, 'out'));
    const run = await place.compress([...more, '--resume']);
    expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_RESUME_MISMATCH' } });
    expect(run.json<{ error: { what: string } }>().error.what).toMatch(named);
    expect(run.code).toBe(2);
    expect(snapshotOf(join(place.folder, 'out'))).toEqual(before);
  }

  it('is not resumed after a weight file changed; the error names the file', async () => {
    await killHalfway();
    const path = join(model, 'model-00002-of-00002.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1;
    writeFileSync(path, bytes);
    await expectMismatch([], /model-00002-of-00002\.safetensors/);
  });

  it('is not resumed after another file of the model changed, came or went; the error names the file', async () => {
    await killHalfway();
    appendFileSync(join(model, 'tokenizer.json'), ' ');
    await expectMismatch([], /tokenizer\.json/);
    cpSync(join(original, 'tokenizer.json'), join(model, 'tokenizer.json'), { preserveTimestamps: true });
    writeFileSync(join(model, 'extras', 'new.txt'), 'new');
    await expectMismatch([], /extras\/new\.txt/);
    rmSync(join(model, 'extras', 'new.txt'));
    rmSync(join(model, 'README.md'));
    await expectMismatch([], /README\.md/);
  });

  it('is resumed after a file of the model was only touched, or ends with the same bytes as a new run', async () => {
    await killHalfway();
    utimesSync(join(model, 'tokenizer.json'), new Date(), new Date());
    const run = await place.compress(['--resume']);
    if (run.code === 2) {
      expect(run.json<{ error: { what: string } }>().error.what).toMatch(/tokenizer\.json/);
      expect((await place.compress(['--force'])).code).toBe(0);
    } else expect(run.code, run.stderr).toBe(0);
    expect(snapshotOf(place.output)).toEqual(whole);
  });

  it('is not resumed with another recipe; the error names the recipe', async () => {
    await killHalfway();
    const other = recipeOf('split-plane');
    await expectMismatch(['--recipe', other], /recipe/i);
  });

  it('is neither thrown away nor mixed up by a run that asks neither for --resume nor for --force', async () => {
    await killHalfway();
    const before = snapshotOf(join(place.folder, 'out'));
    const run = await place.compress();
    expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_UNFINISHED_RUN_EXISTS' } });
    expect(run.code).toBe(1);
    expect(snapshotOf(join(place.folder, 'out'))).toEqual(before);
  });

  it('is thrown away by --force', async () => {
    await killHalfway();
    const run = await place.compress(['--force']);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ resumed: false });
    expect(snapshotOf(place.output)).toEqual(whole);
    expect(place.leftovers()).toEqual([]);
  });

  it('of restore leaves no output, and the next restore is whole with nothing left over', async () => {
    const compressed = join(shared, 'compressed');
    const made = await place.run(['compress', model, '-o', compressed, '--recipe', place.recipe, '--force']);
    expect(made.code, made.stderr).toBe(0);
    const args = ['restore', compressed, '-o', place.output, '--threads', '1'];
    expect((await place.run(args, { mode: 'count' })).code).toBe(0);
    const calls = readWatchedCalls(place.log);
    const step = Math.ceil(calls.length / 12);
    const renamed = calls.findIndex(({ kind, path }) => kind === 'rename' && path.startsWith(place.output));
    for (let at = 1; at <= calls.length; at += at > renamed ? 2 : step) {
      rmSync(place.output, { recursive: true, force: true });
      expect((await place.run(args, { mode: 'kill-before', at })).signal).toBe('SIGKILL');
      const found = snapshotOf(place.output);
      if (found !== null) expect(found).toEqual(snapshotOf(model));
      const again = await place.run(args);
      const told = `killed before ${calls[at - 1]?.kind} ${calls[at - 1]?.path}: ${again.stderr}`;
      // Once its output is in its place there is nothing to do anew.
      if (found === null) expect(again.code, told).toBe(0);
      else expect(again.json(), told).toMatchObject({ error: { code: 'JOB_OUTPUT_EXISTS' } });
      expect(snapshotOf(place.output)).toEqual(snapshotOf(model));
      expect(place.leftovers()).toEqual([]);
    }
  });

  it('by SIGTERM or one Ctrl-C stops cleanly with exit code 75 and says how to go on', async () => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      const signals = [{ name, after: /"event":"progress"/ }];
      const slow = { mode: 'delay', delayMs: 40 } as const;
      const run = await place.compress(['--events', 'ndjson'], slow, { signals });
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_INTERRUPTED', retryable: true } });
      expect(run.json<{ error: { whatToDo: string } }>().error.whatToDo).toContain('--resume');
      expect(run.code).toBe(75);
      expect(snapshotOf(place.output)).toBeNull();
      const resumed = await place.compress(['--resume']);
      expect(resumed.code, resumed.stderr).toBe(0);
      expect(resumed.json()).toMatchObject({ resumed: true });
      expect(snapshotOf(place.output)).toEqual(whole);
      expect(place.leftovers()).toEqual([]);
      rmSync(place.output, { recursive: true });
    }
  });

  it('of restore by SIGTERM stops cleanly with exit code 130, for there is nothing to resume', async () => {
    const compressed = join(shared, 'compressed for SIGTERM');
    const made = await place.run(['compress', model, '-o', compressed, '--recipe', place.recipe]);
    expect(made.code, made.stderr).toBe(0);
    const args = ['restore', compressed, '-o', place.output, '--threads', '1', '--events', 'ndjson'];
    const signals = [{ name: 'SIGTERM', after: /"event":"progress"/ } as const];
    const run = await place.run(args, { mode: 'delay', delayMs: 40 }, { signals });
    expect(run.json(), run.stderr).toMatchObject({ error: { code: 'JOB_CANCELLED' } });
    expect(run.code).toBe(130);
    expect(snapshotOf(place.output)).toBeNull();
    expect(place.leftovers()).toEqual([]);
  });

  it('holds its output: a second run on it is refused at once and disturbs nothing', async () => {
    const first = place.compress([], { mode: 'delay', delayMs: 40 });
    while (!journalTypes(place.home).includes('item')) await wait(5);
    for (const more of [[], ['--resume'], ['--force']]) {
      const second = await place.compress(more);
      expect(second.json(), second.stderr).toMatchObject({ error: { code: 'JOB_OUTPUT_BUSY' } });
      expect(second.code).toBe(1);
    }
    expect((await first).code).toBe(0);
    expect(snapshotOf(place.output)).toEqual(whole);
    expect(place.leftovers()).toEqual([]);
  });

  it('by a weight file that shrinks while it is read ends with exit code 3 and names the file', async () => {
    for (const at of [3, 6, 9, 12]) {
      const path = join(model, 'model-00001-of-00002.safetensors');
      const run = await place.compress(['--force'], { mode: 'shrink', path, at });
      expect(readFileSync(path).length, `read ${at} never came`).toBeLessThan(
        readFileSync(join(original, 'model-00001-of-00002.safetensors')).length,
      );
      expect(run.json(), run.stderr).toMatchObject({ error: { code: 'FORMAT_FILE_CUT_SHORT' } });
      expect(run.json<{ error: { what: string } }>().error.what).toContain('model-00001-of-00002.safetensors');
      expect(run.code).toBe(3);
      expect(snapshotOf(place.output)).toBeNull();
      cpSync(original, model, { recursive: true, preserveTimestamps: true });
    }
  });
});
