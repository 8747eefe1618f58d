import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentBytes } from '../../core/evaluation/evaluation-memory.ts';
import type { ByteRange } from '../../core/kernels/kernels.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import { storedBytesOf } from '../../core/methods/gguf/plan-gguf-export.ts';
import type { ResolvedTensor } from '../../core/methods/gguf/resolve-formats.ts';
import type { ChosenType } from '../../core/methods/gguf/gguf-types.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { BASE_BYTES } from '../engine/memory-limit.ts';
import type { CacheKey, MeasurementCache } from '../engine/measurement-cache.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import type { OpenProber, Prober } from '../inference/prober.ts';
import type { ExportImportance } from './export-importance.ts';
import { quantizedBytes, quantizeTensor, type TensorToQuantize } from './quantize-tensor.ts';

/** Tokens that each probe runs, at most, in whole windows. */
const PROBE_TOKENS = 1024;
/** Raised when the same weights and texts would give other figures. */
const METHOD_VERSION = 1;
const KIND = 'format-errors';

export interface FormatErrorTools {
  kernels: QuantizeKernels;
  cache: MeasurementCache;
  openProber: OpenProber;
}

/**
 * How far each type of each tensor, alone, moves the model's output: D(model || model with that tensor quantized), in nats.
 *
 * One type a tensor, of middle size, is tried in the model itself on some of the calibration windows; the others follow from
 * it by the ratio of the errors that they make in the layer's output, as the divergence grows with the square of a small
 * change. Both are cached: other budgets cost no measurement.
 * @returns by canonical name, in the order of the tensor's choices
 * @throws as `quantizeTensor`; ResourceError RESOURCE_MEMORY_LIMIT; JobError JOB_CANCELLED
 */
export async function measureFormatErrors(
  tensors: readonly ResolvedTensor[],
  importance: ExportImportance,
  options: CompressOptions,
  { kernels, cache, openProber }: FormatErrorTools,
): Promise<Map<string, number[]>> {
  const { threads, signal, onEvent } = options;
  const tracker = createProgressTracker(threads, signal, onEvent);
  tracker.expect(tensors.reduce((sum, tensor) => sum + tensor.choices.length * quantizedBytes(tensor.candidate), 0));
  const windows = probeWindows(importance.windows?.windows ?? []);
  const folder = await cache.temporaryPath();
  await wrapFileErrors('make', folder, () => mkdir(folder));
  const probing = new LazyProber(tensors, windows, options, kernels, openProber);
  try {
    const errors = new Map<string, number[]>();
    for (const tensor of inBlockOrder(tensors)) {
      tracker.stage('measure', tensor.candidate.canonicalName);
      const one = new MeasuredTensor({ tensor, importance, folder, kernels, cache, tracker, windows: windows.length });
      errors.set(tensor.candidate.canonicalName, await one.errors(probing));
      await one.forget();
      tracker.settle(tensor.choices.length * quantizedBytes(tensor.candidate));
    }
    tracker.finish();
    return errors;
  } finally {
    await probing.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Evenly spread over those that the model was calibrated on. */
function probeWindows(windows: readonly Int32Array[]): Int32Array[] {
  const length = windows[0]?.length ?? 1;
  const count = Math.max(1, Math.min(windows.length, Math.floor(PROBE_TOKENS / length)));
  return Array.from(
    { length: count },
    (_, index) => windows[Math.floor((index * windows.length) / count)] ?? new Int32Array(0),
  );
}

/** A walk over the model goes forward only; what lies outside the blocks comes first. */
function inBlockOrder(tensors: readonly ResolvedTensor[]): ResolvedTensor[] {
  return [...tensors].sort((one, other) => (one.candidate.layer ?? -1) - (other.candidate.layer ?? -1));
}

/** Of middle size: large errors are no longer small changes, and small ones drown in the arithmetic's own. */
function middleChoice({ candidate, choices }: ResolvedTensor): ChosenType {
  const bySize = [...choices].sort((one, other) => {
    return storedBytesOf(candidate.elements, one.type) - storedBytesOf(candidate.elements, other.type);
  });
  return bySize[(bySize.length - 1) >> 1] ?? { type: 'F32', insteadOf: null };
}

interface TensorParts extends Pick<FormatErrorTools, 'kernels' | 'cache'> {
  tensor: ResolvedTensor;
  importance: ExportImportance;
  folder: string;
  tracker: ProgressTracker;
  /** That probes run. */
  windows: number;
}

/** The errors of one tensor, from the cache where they are known. */
class MeasuredTensor {
  readonly #parts: TensorParts;
  /** Files that it was quantized to, by type. */
  readonly #files = new Map<string, { range: ByteRange; error: number }>();

  constructor(parts: TensorParts) {
    this.#parts = parts;
  }

  /** In nats, in the order of the choices. */
  async errors(probing: LazyProber): Promise<number[]> {
    const { cache, tensor } = this.#parts;
    const { choices } = tensor;
    const key = this.#key();
    const found = await cache.find(KIND, key);
    const known = found?.facts['errors'];
    if (isNumbers(known, choices.length)) return known;
    const layer: number[] = [];
    for (const choice of choices) layer.push((await this.#quantized(choice)).error);
    const middle = middleChoice(tensor);
    const ofMiddle = layer[choices.indexOf(middle)] ?? 0;
    const divergence = await probing.probe(tensor, middle, (await this.#quantized(middle)).range);
    const errors = layer.map((error) => (ofMiddle === 0 ? 0 : (divergence * error) / ofMiddle));
    await cache.keep(KIND, key, { errors, layerErrors: layer, divergence, probed: middle.type }, []);
    return errors;
  }

  /** Removes the files. */
  async forget(): Promise<void> {
    for (const { range } of this.#files.values()) await rm(range.path, { force: true });
    this.#files.clear();
  }

  async #quantized({ type }: ChosenType): Promise<{ range: ByteRange; error: number }> {
    const known = this.#files.get(type);
    if (known !== undefined) return known;
    const { tensor, importance, folder, kernels, tracker } = this.#parts;
    const { candidate } = tensor;
    const path = join(folder, `${type}.bin`);
    const range = { path, offsetBytes: 0, sizeBytes: storedBytesOf(candidate.elements, type) };
    const asked: TensorToQuantize = {
      canonicalName: candidate.canonicalName,
      type,
      source: { ...candidate.source, order: 'stored', heads: 1 },
      method: tensor.method ?? 'rtn',
      input: importance.inputs.get(candidate.canonicalName),
    };
    const { figures, feedback } = await quantizeTensor(
      asked,
      { kind: 'write', ranges: [range] },
      kernels,
      tracker.call(),
    );
    const quantized = { range, error: feedback?.loss ?? figures.weightedError };
    this.#files.set(type, quantized);
    return quantized;
  }

  #key(): CacheKey {
    const { tensor, importance, windows: probeWindows } = this.#parts;
    const { canonicalName } = tensor.candidate;
    const types = tensor.choices.map(({ type }) => type).join(' ');
    const rounding = tensor.method ?? 'rtn';
    const shown = importance.windows?.fingerprint;
    return { ...shown, probeWindows, tensor: canonicalName, types, rounding, method: METHOD_VERSION };
  }
}

function isNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every((one) => typeof one === 'number');
}

/** A prober that is opened once something is not in the cache. */
class LazyProber {
  readonly #tensors: readonly ResolvedTensor[];
  readonly #windows: readonly Int32Array[];
  readonly #options: CompressOptions;
  readonly #kernels: QuantizeKernels;
  readonly #openProber: OpenProber;
  #prober: Prober | null = null;
  #bytes = 0;

  constructor(
    tensors: readonly ResolvedTensor[],
    windows: readonly Int32Array[],
    options: CompressOptions,
    kernels: QuantizeKernels,
    openProber: OpenProber,
  ) {
    this.#tensors = tensors;
    this.#windows = windows;
    this.#options = options;
    this.#kernels = kernels;
    this.#openProber = openProber;
  }

  async probe({ candidate }: ResolvedTensor, { type }: ChosenType, range: ByteRange): Promise<number> {
    const { signal } = this.#options;
    const { canonicalName, layer, elements, source } = candidate;
    const stored = { source: range, type, columns: source.columns, order: 'stored' as const, heads: 1, add: 0 };
    const prober = await this.#opened();
    return this.#leased(() => prober.probe({ tensor: canonicalName, block: layer, stored, elements }, signal));
  }

  async close(): Promise<void> {
    await this.#prober?.close();
  }

  async #opened(): Promise<Prober> {
    if (this.#prober !== null) return this.#prober;
    const { model, threads, memoryLimitBytes, signal } = this.#options;
    const prober = await this.#openProber({ model, threads });
    this.#prober = prober;
    const length = this.#windows[0]?.length ?? 0;
    const windows = this.#windows.length;
    const processBytes = contentBytes({
      tokenizerBytes: 0,
      textBytes: 0,
      tokens: windows * length,
      sequences: windows,
      hasReference: false,
      kernelBytes: this.#kernels.memoryBytes(threads),
    });
    const limitBytes = memoryLimitBytes ?? (await defaultMemoryLimit());
    const largestTensor = this.#tensors.reduce((most, { candidate }) => Math.max(most, candidate.elements), 0);
    const { peakMemoryBytes } = await prober.reserve({ windows, length, largestTensor, processBytes, limitBytes });
    this.#bytes = Math.max(0, peakMemoryBytes - BASE_BYTES);
    await this.#leased(() => prober.begin(this.#windows, signal));
    return prober;
  }

  #leased<Result>(work: () => Promise<Result>): Promise<Result> {
    const demand: Demand = { threads: this.#options.threads, memoryBytes: () => this.#bytes };
    return withLease(this.#options, poolOf(this.#options), demand, 'measuring what formats cost', work);
  }
}
