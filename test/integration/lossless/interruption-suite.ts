import { cpSync, existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canInjectFaults, readWatchedCalls, type Fault, type WatchedCall } from '../../helpers/fault-injection.ts';
import type { LatheRun } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf, type Snapshot } from './folder-snapshot.ts';
import { writeMixedModel } from './mixed-model.ts';

/** Every call takes two processes; the full sweep takes minutes, so it runs on request. */
const takesEvery = process.env['LATHE_EVERY_FAULT'] === '1';
const SAMPLES = 14;
const MINUTE_MS = 60_000;
const WHICH = takesEvery ? 'every one' : `${SAMPLES} and all renames; LATHE_EVERY_FAULT=1 takes every one`;

/** Old and new output differ in every file but those that are only copied. */
const OTHER = { dfloat11: 'split-plane', 'split-plane': 'dfloat11', q4_k_m: 'q8_0' } as const;

/** A log is for people: what of it is lost or fails is nobody's work. */
function withoutLogs(calls: readonly WatchedCall[]): WatchedCall[] {
  return calls.filter(({ path }) => !path.endsWith('/log.ndjson'));
}

/** All calls, or an even sample together with what cannot be undone: renames. */
function chosen(calls: readonly WatchedCall[]): WatchedCall[] {
  if (takesEvery || calls.length <= SAMPLES) return [...calls];
  const step = calls.length / SAMPLES;
  const numbers = new Set(Array.from({ length: SAMPLES }, (_, index) => Math.floor((index + 0.5) * step)));
  return calls.filter((call, index) => numbers.has(index) || call.kind === 'rename');
}

/**
 * Interrupts `compress` in every way that the outside has, and looks at what is left each time: of the mixed model, and by a
 * recipe that quantizes of the sample model.
 */
export function describeInterruptions(codec: keyof typeof OTHER): void {
  describe.skipIf(!canInjectFaults)(`compress with ${codec}, interrupted (calls sampled: ${WHICH})`, () => {
    const shared = makeFolder('interruptions');
    const model = join(shared, 'model');
    const oldOutput = join(shared, 'old');
    let modelBefore: Snapshot;
    let oldSnapshot: Snapshot;
    let whole: Snapshot;
    let calls: WatchedCall[];
    let callsOverOld: WatchedCall[];
    /** All of a test's faults are tried before it fails, so that its report shows what they have in common. */
    let problems: string[];

    beforeAll(async () => {
      if (codec === 'q4_k_m') cpSync(SAMPLE_MODEL, model, { recursive: true });
      else writeMixedModel(model);
      modelBefore = snapshotOf(model);
      [whole, calls] = await countCalls([]);
      const place = new CompressPlace(model, OTHER[codec]);
      expect((await place.compress()).code).toBe(0);
      cpSync(place.output, oldOutput, { recursive: true });
      place.remove();
      oldSnapshot = snapshotOf(oldOutput);
      [, callsOverOld] = await countCalls(['--force']);
    });

    beforeEach(() => {
      problems = [];
    });

    afterEach(() => {
      if (problems.length > 0) expect.fail(`${problems.length} faults:\n${problems.join('\n')}`);
    });

    afterAll(() => rmSync(shared, { recursive: true, force: true }));

    async function countCalls(more: string[]): Promise<[Snapshot, WatchedCall[]]> {
      const place = newPlace(more);
      const run = await place.compress(more, { mode: 'count' });
      expect(run.code, run.stderr).toBe(0);
      const result: [Snapshot, WatchedCall[]] = [snapshotOf(place.output), readWatchedCalls(place.log)];
      place.remove();
      expect(result[1].length).toBeGreaterThan(20);
      return result;
    }

    function newPlace(more: readonly string[]): CompressPlace {
      const place = new CompressPlace(model, codec);
      if (more.includes('--force')) cpSync(oldOutput, place.output, { recursive: true });
      return place;
    }

    /** One run with a fault, then what it left, then `--resume` to the end. */
    async function interrupt(fault: Fault, more: string[], check: (run: LatheRun) => void): Promise<void> {
      const place = newPlace(more);
      const run = await place.compress(more, fault);
      try {
        if (!isLogFault(fault, place)) check(run);
        expectOldOrNew(place, more);
        const resumed = await place.compress([...more, '--resume']);
        expect(resumed.code, `--resume said: ${resumed.stdout}${resumed.stderr}`).toBe(0);
        expect(resumed.json()).toMatchObject({ verified: true });
        expect(snapshotOf(place.output)).toEqual(whole);
        expect(place.leftovers()).toEqual([]);
        expect(snapshotOf(model)).toEqual(modelBefore);
      } catch (error) {
        problems.push(`${describeFault(fault, place)}: ${error instanceof Error ? error.message : String(error)}`);
      } finally {
        place.remove();
      }
    }

    /** Without an old output: none, or the whole new one. With one: it, or the new one, or it between two renames. */
    function expectOldOrNew(place: CompressPlace, more: readonly string[]): void {
      const found = snapshotOf(place.output);
      const isOver = more.includes('--force');
      if (found !== null) expect([whole, isOver ? oldSnapshot : whole]).toContainEqual(found);
      else if (isOver) expect(snapshotOf(join(`${place.output}.lathe-partial`, 'old')), 'old/').toEqual(oldSnapshot);
    }

    function expectKilled(run: LatheRun): void {
      expect(run.signal, run.stderr).toBe('SIGKILL');
    }

    function expectError(code: string, exitCode: number) {
      return (run: LatheRun) => {
        expect(run.json(), run.stderr).toMatchObject({ schema: 1, error: { code } });
        expect(run.code).toBe(exitCode);
      };
    }

    it(
      'killed before a write, sync, rename or other change, is finished by --resume to the same bytes',
      async () => {
        for (const { number } of chosen(calls)) await interrupt({ mode: 'kill-before', at: number }, [], expectKilled);
      },
      20 * MINUTE_MS,
    );

    it(
      'killed in the middle of a write, is finished by --resume to the same bytes',
      async () => {
        const writes = calls.filter(({ kind }) => kind === 'write');
        for (const { number } of chosen(writes)) await interrupt({ mode: 'kill-midway', at: number }, [], expectKilled);
      },
      20 * MINUTE_MS,
    );

    it(
      'killed with --force over an old output, leaves the old or the new one whole',
      async () => {
        const some = chosen(callsOverOld);
        for (const { number } of some) await interrupt({ mode: 'kill-before', at: number }, ['--force'], expectKilled);
      },
      20 * MINUTE_MS,
    );

    it(
      'ends with exit code 1 when a write, sync, rename or other change fails, and --resume finishes',
      async () => {
        for (const { number } of chosen(withoutLogs(callsOverOld))) {
          const fault = { mode: 'fail', at: number, error: 'EIO' } as const;
          await interrupt(fault, ['--force'], expectError('FILE_IO', 1));
        }
      },
      20 * MINUTE_MS,
    );

    it(
      'ends with exit code 4 when the disk is full from some write on, and --resume finishes once there is room',
      async () => {
        const growing = withoutLogs(calls).filter(({ kind }) => ['open', 'write', 'mkdir', 'truncate'].includes(kind));
        for (const { number } of chosen(growing)) {
          await interrupt({ mode: 'full', at: number }, [], expectError('RESOURCE_DISK_FULL', 4));
        }
      },
      20 * MINUTE_MS,
    );

    it('writes the same bytes when every write is cut short', async () => {
      const place = newPlace([]);
      const run = await place.compress([], { mode: 'short' });
      expect(run.code, run.stderr).toBe(0);
      expect(readWatchedCalls(place.log).length).toBeGreaterThan(calls.length);
      expect(snapshotOf(place.output)).toEqual(whole);
      expect(place.leftovers()).toEqual([]);
      place.remove();
    });
  });
}

/** A busy machine moves a log's lines among the calls that were counted; one of them that fails is told, no more. */
function isLogFault(fault: Fault, place: CompressPlace): boolean {
  if (fault.mode !== 'fail') return false;
  const call = readWatchedCalls(place.log).find(({ number }) => number === fault.at);
  return call !== undefined && withoutLogs([call]).length === 0;
}

function describeFault(fault: Fault, place: CompressPlace): string {
  if (!('at' in fault)) return fault.mode;
  const call = readWatchedCalls(place.log).find(({ number }) => number === fault.at);
  const path =
    call?.path.slice(place.folder.length) ?? `never reached; ${existsSync(place.log) ? '' : 'no call at all'}`;
  return `${fault.mode} ${fault.at} (${call?.kind ?? ''} ${path || basename(place.folder)})`;
}
