/** `lathe calibrate` on the sample model, against plain sums in double precision over the same walk. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseWindows } from '../../../core/calibration/choose-windows.ts';
import type { CacheShowResult, CalibrateResult } from '../../../core/contract/calibration-result.ts';
import type { ExportResult } from '../../../core/contract/export-result.ts';
import type { InspectResult } from '../../../core/contract/results.ts';
import type { SerializedError } from '../../../core/errors.ts';
import { cutWindows } from '../../../core/evaluation/windows.ts';
import { openModel } from '../../../core/model/open-model.ts';
import { readTokenizer } from '../../../core/tokenizer/read-tokenizer.ts';
import { MeasurementCache } from '../../../workers/engine/measurement-cache.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { openOnnxRuntime } from '../../../workers/inference/onnx-runtime.ts';
import { openForwardPass } from '../../../workers/inference/open-forward-pass.ts';
import { openWeightSource } from '../../../workers/inference/open-weight-source.ts';
import { findInputs, fingerprintCalibration } from '../../../workers/jobs/input-statistics-cache.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { kernels } from '../native-kernels/kernels-fixture.ts';

const MODEL = 'examples/models/docs-llama-7m';
const TEXT = 'examples/texts/docs.calibration.txt';
const SHAPE = ['--sequences', '6', '--sequence-length', '64', '--seed', '5'];
const { signal } = new AbortController();

let home: string;
let windows: Int32Array[];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'lathe-calibrate-'));
  const tokenizer = await readTokenizer(MODEL, nodeFileAccess);
  const ids = tokenizer.encode(readFileSync(TEXT, 'utf8'));
  windows = chooseWindows(cutWindows(ids, 64, TEXT), 6, 5);
});
afterAll(() => rmSync(home, { recursive: true }));

async function calibrate(...more: string[]): Promise<CalibrateResult> {
  const run = await runLathe(['calibrate', MODEL, '--text', TEXT, ...SHAPE, ...more, '--json'], {
    env: { LATHE_HOME: home },
  });
  expect(run.code, run.stderr).toBe(0);
  return run.json<CalibrateResult>();
}

/** What the cache holds of a block. */
async function inputsOf(block: number, withGram: boolean) {
  const told: string[] = [];
  const cache = new MeasurementCache(home, 2 ** 40, kernels, (message) => told.push(message));
  const model = await openModel(MODEL, nodeFileAccess);
  const { version } = await openOnnxRuntime({ threads: 1 });
  const fingerprint = await fingerprintCalibration(model, windows, kernels, version, { threads: 1, signal });
  return findInputs(cache, fingerprint, block, withGram);
}

interface Sums {
  maps: string;
  size: number;
  sums: Float64Array;
  squares: Float64Array;
  gram: Float64Array;
}

/** The inputs of one block, summed up here. */
async function sumsOf(block: number): Promise<Sums[]> {
  const model = await openModel(MODEL, nodeFileAccess);
  const weights = await openWeightSource(model, kernels, () => ({ threads: 1 }));
  const pass = await openForwardPass({ config: model.config, weights, kernels, threads: 1, memoryLimitBytes: 2 ** 33 });
  const found = new Map<string, Sums>();
  const hear = ({ maps, rows, size }: { maps: readonly string[]; rows: Float32Array; size: number }) => {
    const name = maps.join(' ');
    const sums = found.get(name) ?? {
      ...{ maps: name, size, sums: new Float64Array(size), squares: new Float64Array(size) },
      gram: new Float64Array(size * size),
    };
    found.set(name, sums);
    for (let start = 0; start < rows.length; start += size) {
      for (let i = 0; i < size; i++) {
        const value = rows[start + i]!;
        sums.sums[i]! += value;
        sums.squares[i]! += value * value;
        for (let j = 0; j < size; j++) sums.gram[i * size + j]! += value * rows[start + j]!;
      }
    }
  };
  await pass.walk(windows, { end: block + 1, onInput: { isWanted: (at) => at === block, hear } }, signal);
  await pass.close();
  return [...found.values()];
}

function worstOf(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  const scale = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(found).reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!) / scale), 0);
}

describe('lathe calibrate', () => {
  it('measures every input of every block, and finds all of it again', async () => {
    const first = await calibrate();
    expect(first).toMatchObject({ sequences: 6, sequenceLength: 64, tokens: 384, measuredBlocks: 8, cachedBlocks: 0 });
    expect(first.inputs).toHaveLength(8 * 4);
    expect(first.inputs.slice(0, 4).map(({ maps }) => maps.map((map) => map.split('.').pop()))).toEqual([
      ['q_proj', 'k_proj', 'v_proj'],
      ['o_proj'],
      ['gate_proj', 'up_proj'],
      ['down_proj'],
    ]);
    const again = await calibrate();
    expect(again).toMatchObject({ measuredBlocks: 0, cachedBlocks: 8 });
    expect(again.inputs).toEqual(first.inputs.map((input) => ({ ...input, cached: true })));
  });

  it('gives the sums, squares and Gram matrices that double precision gives', async () => {
    await calibrate('--gram');
    const expected = await sumsOf(3);
    const known = (await inputsOf(3, true))!;
    expect(known.map(({ maps }) => maps.join(' '))).toEqual(expected.map(({ maps }) => maps));
    for (const [index, { size, sums, squares, gram }] of expected.entries()) {
      const { statistics, gram: stored } = known[index]!;
      expect(statistics.rows).toBe(384);
      expect(worstOf(statistics.sums, sums)).toBeLessThan(1e-6);
      expect(worstOf(statistics.squares, squares)).toBeLessThan(1e-6);
      const bytes = readFileSync(stored!.path);
      const matrix = new Float32Array(Uint8Array.from(bytes).buffer);
      expect(matrix).toHaveLength(size * size);
      expect(worstOf(matrix, gram)).toBeLessThan(1e-6);
      const diagonal = statistics.squares.map((_, at) => matrix[at * (size + 1)]!);
      expect(worstOf(diagonal, squares)).toBeLessThan(1e-6);
    }
  });

  it('measures only what is missing, to the same bits', async () => {
    const before = await calibrate('--gram');
    expect(before.measuredBlocks).toBe(0);
    const gram = (await inputsOf(5, true))![3]!.gram!.path;
    const bytes = readFileSync(gram);
    rmSync(gram.replace(/bin$/, 'json'));
    const after = await calibrate('--gram');
    expect(after).toMatchObject({ measuredBlocks: 1, cachedBlocks: 7 });
    expect(after.inputs.filter(({ cached }) => !cached).map(({ block }) => block)).toEqual([5, 5, 5, 5]);
    expect(readFileSync(gram)).toEqual(bytes);
    expect(after.inputs).toEqual(before.inputs.map((input) => ({ ...input, cached: input.block !== 5 })));
  });

  it('says that an entry was damaged, and measures it again', async () => {
    const path = (await inputsOf(2, true))![0]!.gram!.path;
    const bytes = readFileSync(path);
    writeFileSync(path, Uint8Array.from(bytes).fill(0, 0, 4));
    const run = await runLathe(['calibrate', MODEL, '--text', TEXT, ...SHAPE, '--gram'], { env: { LATHE_HOME: home } });
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/An entry of the measurement cache was damaged/);
    expect(run.stdout).toMatch(/1 measured, 7 found in the cache/);
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('takes other windows for other measurements', async () => {
    const run = await calibrate('--seed', '6');
    expect(run).toMatchObject({ measuredBlocks: 8, cachedBlocks: 0 });
  });

  it('shows and clears what it kept', async () => {
    const env = { LATHE_HOME: home };
    const shown = (await runLathe(['cache', 'show', '--json'], { env })).json<CacheShowResult>();
    expect(shown.kinds.map(({ kind, entries }) => `${kind} ${entries}`)).toEqual(['input-columns 16', 'input-gram 32']);
    expect((await runLathe(['cache', 'clear'], { env })).stdout).toMatch(/^48 entries, .* were removed/);
    expect(readdirSync(join(home, 'cache'))).toEqual([]);
  });

  it('tells inspect what each map is given, measured once', async () => {
    const env = { LATHE_HOME: home };
    const args = ['inspect', MODEL, '--statistics', '--text', TEXT];
    const first = (await runLathe([...args, '--json'], { env })).json<InspectResult>();
    expect(first.calibration).toMatchObject({ sequences: 64, sequenceLength: 256, measuredBlocks: 8 });
    const again = (await runLathe([...args, '--json'], { env })).json<InspectResult>();
    expect(again.calibration).toMatchObject({ measuredBlocks: 0, cachedBlocks: 8 });
    expect(again.tensors).toEqual(first.tensors);
    const { inputs } = (
      await runLathe(['calibrate', MODEL, '--text', TEXT, '--json'], { env })
    ).json<CalibrateResult>();
    const [{ maps, rms, greatest, outlierRatio, outlierColumns }] = inputs.slice(-1) as [CalibrateResult['inputs'][0]];
    const tensor = again.tensors.find(({ name }) => name === `${maps[0]}.weight`);
    expect(tensor?.input).toEqual({ rms, greatest, outlierRatio, outlierColumns });
    expect(again.tensors.find(({ name }) => name === 'model.norm.weight')?.input).toBeNull();
    expect((await runLathe(args, { env })).stdout).toMatch(
      /Inputs +64 sequences of 256 tokens; 0 blocks measured, 8 known/,
    );
  });

  it('stays within the memory that it plans, and within the least that it names', async () => {
    const own = mkdtempSync(join(tmpdir(), 'lathe-calibrate-'));
    const args = ['calibrate', MODEL, '--text', TEXT, '--gram', '--json', '--memory-limit'];
    const refused = await runLathe([...args, '1MiB'], { env: { LATHE_HOME: own } });
    const [, least = ''] = /--memory-limit to (\d+MiB)/.exec(
      refused.json<{ error: SerializedError }>().error.whatToDo,
    )!;
    const { peakRssBytes, memory } = (
      await runLathe([...args, least], { env: { LATHE_HOME: own } })
    ).json<CalibrateResult>();
    expect(memory.peakMemoryBytes).toBeLessThanOrEqual(memory.limitBytes);
    expect(peakRssBytes).toBeLessThan(memory.peakMemoryBytes);
    rmSync(own, { recursive: true });
  });

  it('stops within a block, keeps what it has measured, and goes on by the same command', async () => {
    const own = mkdtempSync(join(tmpdir(), 'lathe-calibrate-'));
    const env = { LATHE_HOME: own };
    const args = ['calibrate', MODEL, '--text', TEXT, '--sequences', '400', '--json', '--events', 'ndjson'];
    const signals = [{ name: 'SIGINT' as const, after: /"detail":"block 2"/ }];
    const stopped = await runLathe(args, { env, signals });
    expect(stopped.json<{ error: SerializedError }>().error).toMatchObject({ code: 'JOB_INTERRUPTED' });
    expect(stopped.code).toBe(75);
    const resumed = (await runLathe(args, { env })).json<CalibrateResult>();
    expect(resumed.cachedBlocks).toBeGreaterThanOrEqual(2);
    expect(resumed.cachedBlocks + resumed.measuredBlocks).toBe(8);
    rmSync(own, { recursive: true });
  });

  it.each<[string, string[], number, string]>([
    ['no text', [MODEL], 2, 'USAGE_INVALID_ARGUMENT'],
    ['a text that is not there', [MODEL, '--text', '/nowhere.txt'], 1, 'FILE_NOT_FOUND'],
    ['a text without one window', [MODEL, '--text', TEXT, '--sequence-length', '200000'], 3, 'TEXT_TOO_SHORT'],
    ['no sequences', [MODEL, '--text', TEXT, '--sequences', '0'], 2, 'USAGE_INVALID_ARGUMENT'],
    ['too little memory', [MODEL, '--text', TEXT, '--memory-limit', '100MiB'], 4, 'RESOURCE_MEMORY_LIMIT'],
  ])('refuses %s', async (_, args, code, error) => {
    const run = await runLathe(['calibrate', ...args, '--json'], { env: { LATHE_HOME: home } });
    expect(run.json<{ error: SerializedError }>().error).toMatchObject({ code: error });
    expect(run.code).toBe(code);
  });
});

describe('lathe export by what maps are given', () => {
  async function exportAs(type: string, ...more: string[]) {
    const path = join(home, `${type}${more.join('')}.gguf`.replaceAll('/', '-'));
    const run = await runLathe(['export', MODEL, '--to', 'gguf', '--type', type, '-o', path, ...more, '--json'], {
      env: { LATHE_HOME: home },
    });
    expect(run.code, run.stderr).toBe(0);
    return run.json<ExportResult>();
  }

  async function divergenceOf(path: string): Promise<number> {
    const args = ['--text', 'examples/texts/docs.test.txt', '--reference', MODEL, '--limit-tokens', '4096', '--json'];
    const run = await runLathe(['evaluate', path, ...args], { env: { LATHE_HOME: home } });
    expect(run.code, run.stderr).toBe(0);
    return run.json<{ klDivergence: { mean: number } }>().klDivergence.mean;
  }

  it('costs less with importance, and less still with error feedback, at the same size', async () => {
    const plain = await exportAs('Q3_K_M');
    const weighted = await exportAs('Q3_K_M', '--text', TEXT);
    const feedback = await exportAs('Q3_K_M', '--text', TEXT, '--method', 'gptq');
    expect(weighted.fileBytes).toBe(plain.fileBytes);
    expect(feedback.fileBytes).toBe(plain.fileBytes);
    expect(plain).toMatchObject({ method: 'rtn', calibration: null });
    expect(feedback).toMatchObject({ method: 'gptq', calibration: { texts: [TEXT], sequences: 64, seed: 0 } });
    const [ofPlain, ofWeighted, ofFeedback] = [
      await divergenceOf(plain.path),
      await divergenceOf(weighted.path),
      await divergenceOf(feedback.path),
    ];
    expect(ofWeighted).toBeLessThan(ofPlain);
    expect(ofFeedback).toBeLessThan(0.8 * ofWeighted);
    // A layer's output is never further off than by rounding to nearest.
    const gains = feedback.tensors.flatMap(({ feedbackGain }) => feedbackGain ?? []);
    expect(gains).toHaveLength(8 * 7);
    expect(Math.max(...gains)).toBeLessThanOrEqual(1);
  });

  it('gives the same bytes from the cache', async () => {
    const first = await exportAs('Q2_K', '--text', TEXT, '--method', 'gptq');
    const again = await exportAs('Q2_K', '--text', TEXT, '--method', 'gptq', '--threads', '1', '--force');
    expect(again.sha256).toBe(first.sha256);
  });

  it.each<[string, string[]]>([
    ['gptq without a text', ['--method', 'gptq']],
    ['sequences without a text', ['--sequences', '3']],
    ['another method', ['--text', TEXT, '--method', 'awq']],
  ])('refuses %s', async (_, more) => {
    const output = join(home, 'refused.gguf');
    const run = await runLathe(['export', MODEL, '--to', 'gguf', '--type', 'Q4_0', '-o', output, ...more, '--json']);
    expect(run.code).toBe(2);
    expect(existsSync(output)).toBe(false);
  });
});
