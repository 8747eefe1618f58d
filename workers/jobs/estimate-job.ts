import { resolve } from 'node:path';
import type { EncodeStep } from '../../core/contract/recipe.ts';
import type { EvaluationPlan } from '../../core/contract/evaluation-result.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { requireSupported } from '../../core/contract/unsupported-recipe.ts';
import { DTYPE_BITS } from '../../core/formats/safetensors/dtypes.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import { predictDfloat11, predictSplitPlane, type TensorFigures } from '../../core/methods/lossless/predict-sizes.ts';
import { skippedTensors } from '../../core/methods/lossless/skipped-tensors.ts';
import type { ModelTensor, SafetensorsModel } from '../../core/model/open-model.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { EstimateOptions, EvaluateOptions, JobOptions } from '../engine/job-options.ts';
import { openResourcePool } from '../engine/job-scheduling.ts';
import { BASE_BYTES, fitThreads, peakMemoryBytes } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { refuseExistingOutput } from '../engine/output-folder.ts';
import { createProgressTracker } from '../engine/progress-tracker.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { estimateCalibration, estimateEvaluation } from './estimate-evaluation.ts';
import { openQuantizable, requireSource, type QuantizableModel } from './open-source.ts';
import { recipeEvaluation } from './evaluate-output.ts';
import { outputPath } from './output-path.ts';
import { planCompression } from './plan-compression.ts';
import { readRecipeInputs, type RecipeInputs } from './recipe-inputs.ts';
import { requireOutputRoom } from './require-output-room.ts';

/** Read of all tensors together: a fraction of a second on a fast disk, seconds on a slow one. */
const SAMPLE_BYTES = 256 << 20;
const MAX_TENSOR_SAMPLE_BYTES = 1 << 20;
/** Multiples of every element's size. */
const SAMPLE_ALIGNMENT = 4096;
/** How far the size from a sample was off on real models, doubled. */
const SAMPLE_ERROR = 0.01;
const WHOLE_ERROR = 0.001;
/** What a tensor's size may be off however small it is: the 32 states of rans12x32 end within a 16-bit word each. */
const TENSOR_ERROR_BYTES = 64;
/** Original bytes a second: all passes of a compression from the page cache on a fast core, and from a slow disk. */
const FAST_BYTES_PER_SECOND_AND_THREAD = 600e6;
const SLOW_BYTES_PER_SECOND = 40e6;

/**
 * Predicts what a recipe would make of a model, without writing anything: sizes from a sample of each tensor's exponents.
 *
 * @throws UsageError, ModelError, FormatError, JobError where a run would fail before it writes
 * Cost: reads headers, and at most 256 MiB of weights.
 */
export async function estimateJob(
  options: EstimateOptions,
  kernels: QuantizeKernels,
  planEvaluation: (options: EvaluateOptions) => Promise<EvaluationPlan>,
): Promise<EstimateResult> {
  const model = await openQuantizable(options.model);
  const { recipe, output } = options;
  requireSupported(recipe);
  const place = output && (await outputPath(output.path, model));
  if (output && place !== null) await refuseExistingOutput(place, output.force);
  const inputs = await readRecipeInputs(recipe, resolve(options.recipeFolder ?? '.'));
  const [step] = recipe.steps;
  const figures =
    step?.step === 'encode'
      ? await estimateLossless(step, requireSource(model, options.model), options, kernels)
      : await estimateQuantized(model, inputs, options, kernels);
  if (place !== null) {
    const bounds = { low: figures.storedBytesLow, high: figures.storedBytesHigh };
    await requireOutputRoom(place, model, { storedBytes: bounds }, kernels);
  }
  const asked = { ...options, output: '', resume: false, force: false };
  const measuring = recipeEvaluation({ model: options.model, reference: options.model }, inputs, asked);
  const evaluation = measuring && (await planEvaluation({ ...measuring, onEvent: () => undefined }));
  const sourceStoredBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const tokens = evaluation?.texts.reduce((sum, { windows, context }) => sum + windows * context, 0) ?? 0;
  // The new model and its source, two operations a weight and token.
  const measured = 4 * tokens * model.parameters;
  const { storedBytes, storedBytesLow, storedBytesHigh, peakMemoryBytes: ownBytes, notes, seconds } = figures;
  return {
    schema: 1,
    storedBytes,
    storedBytesLow,
    storedBytesHigh,
    sourceStoredBytes,
    parameters: model.parameters,
    bitsPerWeight: bitsPerWeight(storedBytes, model.parameters),
    peakMemoryBytes: Math.max(ownBytes, evaluation?.memory.peakMemoryBytes ?? 0),
    secondsLow: seconds.low + measured / (FAST_FLOPS * options.threads),
    secondsHigh: seconds.high + measured / SLOW_FLOPS,
    problems: [...notes, ...inputs.notes].map((message) => ({ message, blocking: false })),
    wouldFail: false,
    evaluation: await estimateEvaluation(model, options, kernels),
  };
}

interface Figures {
  storedBytes: number;
  storedBytesLow: number;
  storedBytesHigh: number;
  peakMemoryBytes: number;
  notes: string[];
  seconds: { low: number; high: number };
}

/** By a sample of the weights. */
async function estimateLossless(
  step: EncodeStep,
  model: SafetensorsModel,
  options: EstimateOptions,
  kernels: Kernels,
): Promise<Figures> {
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(options.recipe, names);
  const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
  const { figures, isWhole } = await sampleModel(model, threads, options, kernels);
  const predicted =
    step.codec === 'dfloat11'
      ? predictDfloat11(model, { units: step.units, skip }, figures, kernels)
      : { storedBytes: predictSplitPlane(model, skip, figures), notes: [] };
  const sourceBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const errorBytes =
    predicted.storedBytes * (isWhole ? WHOLE_ERROR : SAMPLE_ERROR) + TENSOR_ERROR_BYTES * model.tensors.length;
  return {
    storedBytes: predicted.storedBytes,
    storedBytesLow: Math.max(0, Math.floor(predicted.storedBytes - errorBytes)),
    storedBytesHigh: Math.ceil(predicted.storedBytes + errorBytes),
    peakMemoryBytes: peakMemoryBytes(kernels, threads, model.tensors.length),
    notes: [...notes, ...predicted.notes],
    seconds: {
      low: sourceBytes / (FAST_BYTES_PER_SECOND_AND_THREAD * threads),
      high: 1 + sourceBytes / SLOW_BYTES_PER_SECOND,
    },
  };
}

/** From headers alone. */
async function estimateQuantized(
  model: QuantizableModel,
  inputs: RecipeInputs,
  options: EstimateOptions,
  kernels: QuantizeKernels,
): Promise<Figures> {
  const { threads, memoryLimitBytes } = options;
  const notPlanned = () => Promise.reject(new Error('an estimate measures nothing'));
  const context = {
    kernels,
    files: nodeOutputFiles,
    access: nodeFileAccess,
    call: () => ({ threads, signal: options.signal }),
    folder: '',
  };
  const asked = { ...options, output: '', resume: false, force: false };
  const plan = await planCompression(context, model, asked, inputs, { measure: notPlanned, measureErrors: notPlanned });
  const { threads: used, memoryBytes } = openResourcePool(threads, memoryLimitBytes).sizeOf(plan.demand, 'this job');
  const { usesGptq } = plan;
  const calibrating = await estimateCalibration(model, inputs, usesGptq, options, kernels);
  const sourceBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const { sequences = 0, sequenceLength = 0 } = inputs.calibration ?? {};
  const tokens = sequences * sequenceLength;
  const flops = 2 * tokens * model.parameters + (usesGptq ? gptqFlops(model) + tokens * gramFlops(model) : 0);
  const { low, high } = plan.storedBytes ?? { low: 0, high: sourceBytes };
  return {
    storedBytes: high,
    storedBytesLow: low,
    storedBytesHigh: high,
    peakMemoryBytes: Math.max(BASE_BYTES + memoryBytes, calibrating),
    notes: plan.notes,
    seconds: {
      low: sourceBytes / (FAST_QUANTIZED_BYTES * used) + flops / (FAST_FLOPS * used),
      high: 2 + sourceBytes / SLOW_QUANTIZED_BYTES + flops / SLOW_FLOPS,
    },
  };
}

/** Source bytes that are quantized and verified in a second: of a fast thread, and of a slow machine. */
const FAST_QUANTIZED_BYTES = 300e6;
const SLOW_QUANTIZED_BYTES = 4e6;
/** Single-precision arithmetic of a fast core, and of a slow machine. */
const FAST_FLOPS = 120e9;
const SLOW_FLOPS = 8e9;

/** Of solving for every matrix: out · in² + 4/3 · in³. */
function gptqFlops({ tensors }: QuantizableModel): number {
  return tensors.reduce(
    (sum, { shape: [rows = 0, columns = 0] }) => sum + rows * columns ** 2 + (4 / 3) * columns ** 3,
    0,
  );
}

/** Of the Gram matrices, for each token: maps that share an input are counted each by itself. */
function gramFlops({ tensors }: QuantizableModel): number {
  return tensors.reduce((sum, { shape: [, columns = 0] }) => sum + columns ** 2, 0);
}

async function sampleModel(model: SafetensorsModel, threads: number, options: JobOptions, kernels: Kernels) {
  const tracker = createProgressTracker(threads, options.signal, options.onEvent);
  const limit = Math.min(MAX_TENSOR_SAMPLE_BYTES, SAMPLE_BYTES / Math.max(1, model.tensors.length));
  const sampleBytes = Math.max(SAMPLE_ALIGNMENT, Math.floor(limit / SAMPLE_ALIGNMENT) * SAMPLE_ALIGNMENT);
  tracker.expect(model.tensors.reduce((sum, { sizeBytes }) => sum + Math.min(sizeBytes, sampleBytes), 0));
  tracker.stage('sample');
  stopIfAsked(options.signal);
  const figures = new Map<string, TensorFigures>();
  for (const tensor of model.tensors) {
    figures.set(tensor.name, await sampleTensor(tensor, sampleBytes, model.root, kernels, tracker.call()));
    tracker.settle(Math.min(tensor.sizeBytes, sampleBytes));
  }
  tracker.finish();
  return { figures, isWhole: model.tensors.every(({ sizeBytes }) => sizeBytes <= sampleBytes) };
}

/** Counts a piece in the middle of a tensor, and scales it up to the whole. */
async function sampleTensor(
  { file, dtype, offsetBytes, sizeBytes }: ModelTensor,
  sampleBytes: number,
  root: string,
  kernels: Kernels,
  call: Parameters<Kernels['tensorStatistics']>[2],
): Promise<TensorFigures> {
  const taken = Math.min(sizeBytes, sampleBytes);
  const unit = Math.max(1, DTYPE_BITS[dtype] / 8);
  const skipped = Math.floor((sizeBytes - taken) / 2 / unit) * unit;
  const range = { path: `${root}/${file}`, offsetBytes: offsetBytes + skipped, sizeBytes: taken };
  const { exponentHistogram, splitPlaneBytes } = await kernels.tensorStatistics([range], dtype, call);
  if (taken === sizeBytes) return { exponentHistogram, splitPlaneBytes };
  const factor = sizeBytes / taken;
  return {
    exponentHistogram: exponentHistogram?.map((count) => Math.round(count * factor)) ?? null,
    splitPlaneBytes: Math.round(splitPlaneBytes * factor),
  };
}
