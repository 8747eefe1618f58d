import { calibrationBytes } from '../../core/calibration/calibration-memory.ts';
import { contentBytes, shareMemory } from '../../core/evaluation/evaluation-memory.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { ModelError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { EstimateOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { describeWeights } from '../inference/open-forward-pass.ts';
import { openWeightSource } from '../inference/open-weight-source.ts';
import type { QuantizableModel } from './open-source.ts';
import type { RecipeInputs } from './recipe-inputs.ts';

/** The window and the text that the estimate is for: the default context, and a text as large as WikiText-2's test part. */
const CONTEXT = 256;
const TEXT = { textBytes: 1_300_000, tokens: 300_000 };

/** What `lathe evaluate` would take of memory for a model alone, or why it cannot run it. */
export async function estimateEvaluation(
  model: QuantizableModel,
  { threads, memoryLimitBytes }: EstimateOptions,
  kernels: Kernels,
): Promise<EstimateResult['evaluation']> {
  try {
    const description = await describeModel(model, threads, kernels);
    const processBytes = await processBytesFor(model, { ...TEXT, sequences: TEXT.tokens / CONTEXT }, threads, kernels);
    const limitBytes = memoryLimitBytes ?? (await defaultMemoryLimit());
    const { memory } = shareMemory([description], { length: CONTEXT, processBytes, limitBytes, threads });
    const { peakMemoryBytes, leastMemoryBytes } = memory;
    return { context: CONTEXT, peakMemoryBytes, leastMemoryBytes, problem: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { context: CONTEXT, peakMemoryBytes: null, leastMemoryBytes: null, problem: error.what };
  }
}

/**
 * Bound of the memory of the calibration that a recipe asks for; 0 where it asks for none.
 *
 * @throws as `describeWeights`, where the model cannot be run
 */
export async function estimateCalibration(
  model: QuantizableModel,
  { calibration, calibrationTexts }: RecipeInputs,
  withGram: boolean,
  { threads, memoryLimitBytes }: EstimateOptions,
  kernels: Kernels,
): Promise<number> {
  if (calibration === null) return 0;
  const description = await describeModel(model, threads, kernels);
  const { sequences: windows, sequenceLength: length } = calibration;
  const textBytes = calibrationTexts.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  const all = calibrationTexts.reduce((sum, { bytes }) => sum + bytes, 0);
  // A token has at least one byte.
  const contents = { textBytes, tokens: all, sequences: windows };
  const processBytes =
    (await processBytesFor(model, contents, threads, kernels)) +
    calibrationBytes(description, { windows, length, withGram });
  const limitBytes = memoryLimitBytes ?? (await defaultMemoryLimit());
  return shareMemory([description], { length, processBytes, limitBytes, threads }).memory.peakMemoryBytes;
}

async function describeModel(model: QuantizableModel, threads: number, kernels: Kernels) {
  return describeWeights(model.config, await openWeightSource(model, kernels, () => ({ threads })));
}

async function processBytesFor(
  model: QuantizableModel,
  contents: { textBytes: number; tokens: number; sequences: number },
  threads: number,
  kernels: Kernels,
): Promise<number> {
  const tokenizer = await nodeFileAccess.stat(`${model.root}/tokenizer.json`);
  const tokenizerBytes = tokenizer?.sizeBytes ?? 0;
  return contentBytes({ ...contents, tokenizerBytes, hasReference: false, kernelBytes: kernels.memoryBytes(threads) });
}
