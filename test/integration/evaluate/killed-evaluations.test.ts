import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EvaluateResult } from '../../../core/contract/evaluation-result.ts';
import { canInjectFaults, readWatchedCalls, type Fault } from '../../helpers/fault-injection.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';
import { CompressPlace } from '../lossless/compress-place.ts';

const TEXT = fileURLToPath(new URL('../../../examples/texts/docs.test.txt', import.meta.url));

describe.skipIf(!canInjectFaults)('an evaluation with --tokens-out, killed near its end', () => {
  /** Its output is the tokens file here. */
  let place: CompressPlace;
  beforeEach(() => {
    place = new CompressPlace(SAMPLE_MODEL, 'dfloat11');
  });
  afterEach(() => place.remove());

  function evaluate(more: readonly string[] = [], fault?: Fault) {
    const few = ['--context', '32', '--limit-tokens', '100', '--threads', '1'];
    return place.run(['evaluate', SAMPLE_MODEL, '--text', TEXT, ...few, '--tokens-out', place.output, ...more], fault);
  }

  function clear(): void {
    rmSync(place.home, { recursive: true });
    rmSync(place.output, { force: true });
  }

  it('is finished by --resume to the same bytes, with nothing left over and without --force', async () => {
    expect((await evaluate([], { mode: 'count' })).code).toBe(0);
    const whole = readFileSync(place.output);
    const calls = readWatchedCalls(place.log).filter(({ path }) => !path.endsWith('.ndjson'));
    const first = calls.findIndex(({ path }) => path.startsWith(join(place.folder, 'out')));
    expect(first).toBeGreaterThan(5);
    // With its scores gone its end is noted, and its output in its place: then only its lock is left to remove.
    const last = calls.findIndex(({ kind, path }) => kind === 'unlink' && path.endsWith('/scores.bin'));
    const critical = calls.slice(first, last + 1);
    const chosen = critical.filter(
      ({ kind }, index) => kind === 'rename' || index % 4 === 0 || index > last - first - 2,
    );
    for (const { number: at, kind, path } of chosen) {
      clear();
      const killed = await evaluate([], { mode: 'kill-before', at });
      expect(killed.signal).toBe('SIGKILL');
      const resumed = await evaluate(['--resume']);
      const told = `killed before ${kind} ${path}: ${resumed.stdout}`;
      expect(resumed.code, told).toBe(0);
      expect(readFileSync(place.output).equals(whole), told).toBe(true);
      expect(place.leftovers(), told).toEqual([]);
      expect(resumed.json<EvaluateResult>().resumed, told).toBe(true);
    }
  });

  it('does not replace another file that has come into its place since', async () => {
    expect((await evaluate([], { mode: 'count' })).code).toBe(0);
    const calls = readWatchedCalls(place.log);
    const at = calls.find(({ path }) => path.startsWith(join(place.folder, 'out')))?.number ?? 0;
    clear();
    expect((await evaluate([], { mode: 'kill-before', at })).signal).toBe('SIGKILL');
    writeFileSync(place.output, 'not ours');
    const refused = await evaluate(['--resume']);
    expect(refused.json()).toMatchObject({ error: { code: 'JOB_OUTPUT_EXISTS' } });
    expect(readFileSync(place.output, 'utf8')).toBe('not ours');
    expect((await evaluate(['--resume', '--force'])).json()).toMatchObject({ resumed: true });
    expect(place.leftovers()).toEqual([]);
  });

  it('is refused before the first token where --resume finds no run and a file is in its place', async () => {
    writeFileSync(place.output, 'not ours');
    const refused = await evaluate(['--resume']);
    expect(refused.json()).toMatchObject({ error: { code: 'JOB_OUTPUT_EXISTS' } });
    expect(place.leftovers().filter((name) => !name.endsWith('scores.bin'))).toEqual([]);
  });
});
