/** Statistics of linear maps' inputs as the measurement cache holds them: one entry a block, and one a Gram matrix. */
import { createHash } from 'node:crypto';
import { isRecord } from '../../core/is-record.ts';
import type { ColumnStatistics, Kernels } from '../../core/kernels/kernels.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';
import type { CacheKey, FoundEntry, MeasurementCache } from '../engine/measurement-cache.ts';
import type { MeasuredInput } from '../inference/calibrator.ts';

const COLUMNS_KIND = 'input-columns';
const GRAM_KIND = 'input-gram';
/** Raised when the same inputs would give other numbers by the same runtime and kernels. */
const METHOD_VERSION = 1;

/** What the inputs of a model's maps depend on. */
export interface CalibrationFingerprint {
  /** SHA-256 over config and weight files. */
  model: string;
  /** SHA-256 over the windows' ids. */
  windows: string;
  /** Tokens of a window. */
  length: number;
  /** What runs the model, and what sums inputs up: other versions may round otherwise. */
  runtime: string;
  kernels: string;
}

/** An input of linear maps with what was found of it. */
export interface KnownInput {
  maps: string[];
  columns: number;
  statistics: ColumnStatistics;
  /** f32 [columns, columns], of all rows; null where it was not asked for. */
  gram: { path: string; sizeBytes: number } | null;
}

/**
 * Reads every weight file once.
 *
 * @param runtime as a calibrator's facts tell it
 */
export async function fingerprintCalibration(
  model: OpenedModel,
  windows: readonly Int32Array[],
  kernels: Pick<Kernels, 'digestFiles' | 'describe'>,
  runtime: string,
  call: { threads: number; signal: AbortSignal },
): Promise<CalibrationFingerprint> {
  const paths = model.weightFiles.map(({ path }) => `${model.root}/${path}`);
  const digests = await kernels.digestFiles(paths, call);
  const ofModel = createHash('sha256').update(JSON.stringify([model.config, digests.map(({ sha256 }) => sha256)]));
  const ofWindows = createHash('sha256');
  for (const window of windows) {
    ofWindows.update(Buffer.from(window.buffer, window.byteOffset, window.byteLength));
  }
  return {
    model: ofModel.digest('hex'),
    windows: ofWindows.digest('hex'),
    length: windows[0]?.length ?? 0,
    runtime,
    kernels: kernels.describe().version,
  };
}

function keyOf(fingerprint: CalibrationFingerprint, block: number): CacheKey {
  return { ...fingerprint, block, method: METHOD_VERSION };
}

/**
 * What is known of a block's inputs; null unless all that is asked for is there and sound.
 *
 * @throws ResourceError for files that cannot be read
 */
export async function findInputs(
  cache: MeasurementCache,
  fingerprint: CalibrationFingerprint,
  block: number,
  withGram: boolean,
): Promise<KnownInput[] | null> {
  const entry = await cache.find(COLUMNS_KIND, keyOf(fingerprint, block));
  const inputs = entry === null ? null : await toInputs(entry);
  if (inputs === null || !withGram) return inputs;
  for (const [index, input] of inputs.entries()) {
    const gram = await cache.find(GRAM_KIND, { ...keyOf(fingerprint, block), input: index });
    const sizeBytes = 4 * input.columns * input.columns;
    if (gram === null) return null;
    input.gram = { path: gram.dataPath, sizeBytes };
  }
  return inputs;
}

/**
 * How many bytes of Gram matrices are still to be measured; data are not read. A block that misses one is measured as a whole.
 *
 * @param gramBytes of each block, of each of its inputs
 */
export async function missingGramBytes(
  cache: MeasurementCache,
  fingerprint: CalibrationFingerprint,
  gramBytes: readonly (readonly number[])[],
): Promise<number> {
  let missing = 0;
  for (const [block, ofInputs] of gramBytes.entries()) {
    const key = keyOf(fingerprint, block);
    let isKnown = await cache.has(COLUMNS_KIND, key);
    for (const input of ofInputs.keys()) isKnown &&= await cache.has(GRAM_KIND, { ...key, input });
    if (!isKnown) missing += ofInputs.reduce((sum, bytes) => sum + bytes, 0);
  }
  return missing;
}

/** Null for an entry that is not what `keepInputs` writes. */
async function toInputs(entry: FoundEntry): Promise<KnownInput[] | null> {
  const { inputs } = entry.facts;
  const numbers = await entry.read();
  if (!Array.isArray(inputs) || numbers === null) return null;
  const known: KnownInput[] = [];
  for (const [index, input] of (inputs as unknown[]).entries()) {
    const [sums, squares, greatest] = ['sums', 'squares', 'greatest'].map((name) => numbers.get(`${index}.${name}`));
    if (!isInputFacts(input) || !(sums instanceof Float64Array) || !(squares instanceof Float64Array)) return null;
    if (!(greatest instanceof Float32Array)) return null;
    const { maps, columns, rows } = input;
    if ([sums, squares, greatest].some(({ length }) => length !== columns)) return null;
    known.push({ maps, columns, statistics: { rows, sums, squares, greatest }, gram: null });
  }
  return known;
}

function isInputFacts(value: unknown): value is { maps: string[]; columns: number; rows: number } {
  if (!isRecord(value)) return false;
  const { maps, columns, rows } = value;
  return Array.isArray(maps) && maps.every((map) => typeof map === 'string') && [columns, rows].every(Number.isInteger);
}

/**
 * Keeps what was measured of a block. Gram matrices go first: columns alone say that a block was measured.
 *
 * @param grams paths of the Gram matrices, from the cache's folder; null where there are none
 */
export async function keepInputs(
  cache: MeasurementCache,
  fingerprint: CalibrationFingerprint,
  block: number,
  inputs: readonly MeasuredInput[],
  grams: readonly string[] | null,
): Promise<void> {
  const key = keyOf(fingerprint, block);
  for (const [index, { columns, maps }] of inputs.entries()) {
    const path = grams?.[index];
    if (path === undefined) continue;
    const section = { name: 'gram', dtype: 'F32' as const, shape: [columns, columns], offsetBytes: 0 };
    await cache.keepFile(GRAM_KIND, { ...key, input: index }, { maps }, [section], path);
  }
  const facts = { inputs: inputs.map(({ maps, columns, rows }) => ({ maps, columns, rows })) };
  const numbers = inputs.flatMap(({ columns, sums, squares, greatest }, index) => [
    { name: `${index}.sums`, shape: [columns], values: sums },
    { name: `${index}.squares`, shape: [columns], values: squares },
    { name: `${index}.greatest`, shape: [columns], values: greatest },
  ]);
  await cache.keep(COLUMNS_KIND, key, facts, numbers);
}
