import type { Recipe } from '../../core/contract/recipe.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { UsageError } from '../../core/errors.ts';
import { DTYPE_BITS } from '../../core/formats/safetensors/dtypes.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { predictDfloat11, predictSplitPlane, type TensorFigures } from '../../core/methods/lossless/predict-sizes.ts';
import { skippedTensors } from '../../core/methods/lossless/skipped-tensors.ts';
import type { ModelTensor, SafetensorsModel } from '../../core/model/open-model.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { EstimateOptions, JobOptions } from '../engine/job-options.ts';
import { fitThreads, peakMemoryBytes } from '../engine/memory-limit.ts';
import { refuseExistingOutput } from '../engine/output-folder.ts';
import { createProgressTracker } from '../engine/progress-tracker.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { estimateEvaluation } from './estimate-evaluation.ts';
import { openSource } from './open-source.ts';
import { outputPath } from './output-path.ts';

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
export async function estimateJob(options: EstimateOptions, kernels: Kernels): Promise<EstimateResult> {
  const model = await openSource(options.model);
  const { recipe, output } = options;
  if (output) await refuseExistingOutput(await outputPath(output.path, model), output.force);
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(recipe, names);
  const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
  const { figures, isWhole } = await sampleModel(model, threads, options, kernels);
  const predicted = predict(model, recipe, skip, figures, kernels);
  const sourceStoredBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const errorBytes =
    predicted.storedBytes * (isWhole ? WHOLE_ERROR : SAMPLE_ERROR) + TENSOR_ERROR_BYTES * model.tensors.length;
  return {
    schema: 1,
    storedBytes: predicted.storedBytes,
    storedBytesLow: Math.max(0, Math.floor(predicted.storedBytes - errorBytes)),
    storedBytesHigh: Math.ceil(predicted.storedBytes + errorBytes),
    sourceStoredBytes,
    parameters: model.parameters,
    bitsPerWeight: bitsPerWeight(predicted.storedBytes, model.parameters),
    peakMemoryBytes: peakMemoryBytes(kernels, threads, model.tensors.length),
    secondsLow: sourceStoredBytes / (FAST_BYTES_PER_SECOND_AND_THREAD * threads),
    secondsHigh: 1 + sourceStoredBytes / SLOW_BYTES_PER_SECOND,
    problems: [...notes, ...predicted.notes].map((message) => ({ message, blocking: false })),
    wouldFail: false,
    evaluation: await estimateEvaluation(model, options, kernels),
  };
}

function predict(
  model: SafetensorsModel,
  recipe: Recipe,
  skip: ReadonlySet<string>,
  figures: ReadonlyMap<string, TensorFigures>,
  kernels: Kernels,
): { storedBytes: number; notes: string[] } {
  const [step] = recipe.steps;
  switch (step?.codec) {
    case 'dfloat11':
      return predictDfloat11(model, { units: step.units, skip }, figures, kernels);
    case 'split-plane':
      return { storedBytes: predictSplitPlane(model, skip, figures), notes: [] };
    case undefined:
      throw new UsageError({ code: 'RECIPE_INVALID_VALUE', what: 'The recipe has no step.', whatToDo: 'Add one.' });
  }
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
