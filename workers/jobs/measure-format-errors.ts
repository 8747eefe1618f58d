import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentBytes } from '../../core/evaluation/evaluation-memory.ts';
import type { ByteRange } from '../../core/kernels/kernels.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import type { ChosenType } from '../../core/methods/gguf/gguf-types.ts';
import { storedBytesOf } from '../../core/methods/gguf/plan-gguf-export.ts';
import type { ResolvedTensor } from '../../core/methods/gguf/resolve-formats.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { BASE_BYTES } from '../engine/memory-limit.ts';
import type { CacheKey, MeasurementCache } from '../engine/measurement-cache.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import type { OpenProber, Prober } from '../inference/prober.ts';
import type { ExportImportance } from './export-importance.ts';
import { FEEDBACK_BYTES, quantizedBytes, quantizeTensor, type TensorToQuantize } from './quantize-tensor.ts';

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
 * change. Cached tensor by tensor: other budgets cost no measurement, and one that was stopped goes on.
 * @returns by canonical name, in the order of the tensor's choices
 * @throws as `quantizeTensor`; ResourceError RESOURCE_MEMORY_LIMIT; JobError JOB_CANCELLED
 */
export async function measureFormatErrors(
  tensors: readonly ResolvedTensor[],
  importance: ExportImportance,
  options: CompressOptions,
  tools: FormatErrorTools,
): Promise<Map<string, number[]>> {
  const windows = probeWindows(importance.windows?.windows ?? []);
  const errors = new Map<string, number[]>();
  const missing: ResolvedTensor[] = [];
  for (const tensor of tensors) {
    stopIfAsked(options.signal);
    const found = await tools.cache.find(KIND, keyOf(tensor, importance, windows.length));
    const known = found?.facts['errors'];
    if (isNumbers(known, tensor.choices.length)) errors.set(tensor.candidate.canonicalName, known);
    else missing.push(tensor);
  }
  if (missing.length === 0) return errors;
  const prober = await tools.openProber({ model: options.model, threads: options.threads });
  const folder = await tools.cache.temporaryPath();
  await wrapFileErrors('make', folder, () => mkdir(folder));
  try {
    const demand = await demandOf(missing, windows, prober, options, tools.kernels);
    return await withLease(options, poolOf(options), demand, 'measuring what formats cost', async () => {
      const measuring = new FormatMeasurement({ importance, options, tools, windows, prober, folder });
      for (const [name, of] of await measuring.measure(missing)) errors.set(name, of);
      return errors;
    });
  } finally {
    await prober.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Evenly spread over those that the model was calibrated on. */
function probeWindows(windows: readonly Int32Array[]): Int32Array[] {
  const length = windows[0]?.length ?? 1;
  const count = Math.max(1, Math.min(windows.length, Math.floor(PROBE_TOKENS / length)));
  return Array.from({ length: count }, (_, index) => {
    return windows[Math.floor((index * windows.length) / count)] ?? new Int32Array(0);
  });
}

function keyOf(
  { candidate, choices, method }: ResolvedTensor,
  { windows }: ExportImportance,
  probed: number,
): CacheKey {
  return {
    ...windows?.fingerprint,
    probeWindows: probed,
    tensor: candidate.canonicalName,
    types: choices.map(({ type }) => type).join(' '),
    rounding: method ?? 'rtn',
    method: METHOD_VERSION,
  };
}

function isNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every((one) => typeof one === 'number');
}

/** A model that stands by, and what quantizing takes beside it. */
async function demandOf(
  tensors: readonly ResolvedTensor[],
  windows: readonly Int32Array[],
  prober: Prober,
  { threads, memoryLimitBytes }: CompressOptions,
  kernels: QuantizeKernels,
): Promise<Demand> {
  const length = windows[0]?.length ?? 0;
  const contents = { tokens: windows.length * length, sequences: windows.length, hasReference: false };
  const widest = tensors.reduce((most, { candidate, method }) => {
    return method === 'gptq' ? Math.max(most, candidate.source.columns) : most;
  }, 0);
  const processBytes =
    contentBytes({ ...contents, tokenizerBytes: 0, textBytes: 0, kernelBytes: kernels.memoryBytes(threads) }) +
    FEEDBACK_BYTES * widest ** 2;
  const { peakMemoryBytes } = await prober.reserve({
    windows: windows.length,
    length,
    largestTensor: tensors.reduce((most, { candidate }) => Math.max(most, candidate.elements), 0),
    processBytes,
    limitBytes: memoryLimitBytes ?? (await defaultMemoryLimit()),
  });
  return { threads, memoryBytes: () => Math.max(0, peakMemoryBytes - BASE_BYTES) };
}

interface MeasurementParts {
  importance: ExportImportance;
  options: CompressOptions;
  tools: FormatErrorTools;
  windows: readonly Int32Array[];
  prober: Prober;
  /** Empty, for files of quantized tensors. */
  folder: string;
}

class FormatMeasurement {
  readonly #parts: MeasurementParts;
  readonly #tracker: ProgressTracker;

  constructor(parts: MeasurementParts) {
    this.#parts = parts;
    const { threads, signal, onEvent } = parts.options;
    this.#tracker = createProgressTracker(threads, signal, onEvent);
  }

  async measure(tensors: readonly ResolvedTensor[]): Promise<Map<string, number[]>> {
    const { prober, windows, options } = this.#parts;
    const errors = new Map<string, number[]>();
    const workOf = ({ choices, candidate }: ResolvedTensor) => choices.length * quantizedBytes(candidate);
    this.#tracker.expect(tensors.reduce((sum, tensor) => sum + workOf(tensor), 0));
    this.#tracker.stage('measure');
    await prober.begin(windows, options.signal);
    for (const tensor of inBlockOrder(tensors)) {
      this.#tracker.stage('measure', tensor.candidate.canonicalName);
      errors.set(tensor.candidate.canonicalName, await this.#errorsOf(tensor));
      this.#tracker.settle(workOf(tensor));
    }
    this.#tracker.finish();
    return errors;
  }

  async #errorsOf(tensor: ResolvedTensor): Promise<number[]> {
    const { tools, importance, windows, prober, options } = this.#parts;
    const { candidate, choices } = tensor;
    const middle = middleChoice(tensor);
    const layer: number[] = [];
    let divergence = 0;
    for (const choice of choices) {
      const { range, error } = await this.#quantize(tensor, choice);
      layer.push(error);
      if (choice === middle) {
        const { source, canonicalName, layer: block, elements } = candidate;
        const rows = candidate.stored ?? { order: 'stored' as const, heads: 1, add: 0 };
        const stored = { source: range, type: choice.type, columns: source.columns, ...rows };
        divergence = await prober.probe({ tensor: canonicalName, block, stored, elements }, options.signal);
      }
      await rm(range.path, { force: true });
    }
    const ofMiddle = layer[choices.indexOf(middle)] ?? 0;
    const errors = layer.map((error) => (ofMiddle === 0 ? 0 : (divergence * error) / ofMiddle));
    const facts = { errors, layerErrors: layer, divergence, probed: middle.type };
    await tools.cache.keep(KIND, keyOf(tensor, importance, windows.length), facts, []);
    return errors;
  }

  /** @returns the file, and what the layer's output is off by, squared, in a unit that all types of a tensor share */
  async #quantize(
    { candidate, method }: ResolvedTensor,
    { type }: ChosenType,
  ): Promise<{ range: ByteRange; error: number }> {
    const { importance, folder, tools } = this.#parts;
    const path = join(folder, `${type}.bin`);
    const range = { path, offsetBytes: 0, sizeBytes: storedBytesOf(candidate.elements, type) };
    const asked: TensorToQuantize = {
      canonicalName: candidate.canonicalName,
      type,
      source: { ...candidate.source, order: 'stored', heads: 1 },
      method: method ?? 'rtn',
      input: importance.inputs.get(candidate.canonicalName),
    };
    const target = { kind: 'write' as const, ranges: [range] };
    const { figures, feedback } = await quantizeTensor(asked, target, tools.kernels, this.#tracker.call());
    return { range, error: feedback?.loss ?? figures.weightedError };
  }
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
