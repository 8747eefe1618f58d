import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EvaluateResult, EvaluationPlan } from '../../../core/contract/evaluation-result.ts';
import type { EstimateResult } from '../../../core/contract/results.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';

const TEXT = fileURLToPath(new URL('../../../examples/texts/docs.test.txt', import.meta.url));
/** 20 windows: enough that memory has come to its height. */
const ASKED = [SAMPLE_MODEL, '--text', TEXT, '--limit-tokens', '5120', '--json'];

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'lathe-memory-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function lathe<T>(...args: string[]): Promise<T> {
  const run = await runLathe(args);
  expect(run.code, run.stderr).toBe(0);
  return run.json<T>();
}

test.each([[[]], [['--reference', SAMPLE_MODEL]], [['--context', '2048']]])(
  'an evaluation stays within what a dry run foresees, and within the least limit: %j',
  async (more) => {
    const { memory } = await lathe<EvaluationPlan>('evaluate', ...ASKED, ...more, '--dry-run');
    const free = await lathe<EvaluateResult>('evaluate', ...ASKED, ...more);
    expect(free.memory).toMatchObject({ peakMemoryBytes: memory.peakMemoryBytes });
    // The kernel's own count of the whole process, when the document was made.
    expect(free.peakRssBytes).toBeLessThan(memory.peakMemoryBytes);
    const least = `${Math.ceil(memory.leastMemoryBytes / 2 ** 20)}MiB`;
    const tight = await lathe<EvaluateResult>('evaluate', ...ASKED, ...more, '--memory-limit', least);
    expect(tight.peakRssBytes).toBeLessThan(tight.memory.limitBytes);
    expect(tight.memory.peakMemoryBytes).toBeLessThanOrEqual(tight.memory.limitBytes);
    expect(tight.meanNegativeLogLikelihood).toBe(free.meanNegativeLogLikelihood);
    expect(tight.klDivergence).toEqual(free.klDivergence);
  },
);

test('an evaluation stays within what "lathe estimate" prints', async () => {
  const { evaluation } = await lathe<EstimateResult>(
    'estimate',
    SAMPLE_MODEL,
    '--preset',
    'lossless-dfloat11',
    '--json',
  );
  const { peakRssBytes } = await lathe<EvaluateResult>('evaluate', ...ASKED);
  expect(peakRssBytes).toBeLessThan(evaluation.peakMemoryBytes!);
  expect(evaluation.leastMemoryBytes!).toBeLessThan(evaluation.peakMemoryBytes!);
});

test('a limit below the least is refused before anything is done', async () => {
  const tokens = join(home, 'tokens');
  const args = ['evaluate', ...ASKED, '--memory-limit', '100MiB', '--tokens-out', tokens];
  const run = await runLathe(args, { env: { LATHE_HOME: join(home, 'lathe') } });
  expect(run.code).toBe(4);
  const { error } = run.json<{ error: { code: string; what: string; whatToDo: string } }>();
  expect(error.code).toBe('RESOURCE_MEMORY_LIMIT');
  expect(error.whatToDo).toMatch(/^Set --memory-limit to \d+MiB or more/);
  expect(existsSync(tokens)).toBe(false);
  expect(existsSync(join(home, 'lathe'))).toBe(false);
});
