import { contentBytes, shareMemory } from '../../core/evaluation/evaluation-memory.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { ModelError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { SafetensorsModel } from '../../core/model/open-model.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { EstimateOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { describeWeights } from '../inference/open-forward-pass.ts';
import { openWeightSource } from '../inference/open-weight-source.ts';

/** The window and the text that the estimate is for: the default context, and a text as large as WikiText-2's test part. */
const CONTEXT = 256;
const TEXT = { textBytes: 1_300_000, tokens: 300_000 };

/** What `lathe evaluate` would take of memory for a model alone, or why it cannot run it. */
export async function estimateEvaluation(
  model: SafetensorsModel,
  { threads, memoryLimitBytes }: EstimateOptions,
  kernels: Kernels,
): Promise<EstimateResult['evaluation']> {
  const weights = await openWeightSource(model, kernels, () => ({ threads }));
  try {
    const description = describeWeights(model.config, weights);
    const tokenizer = await nodeFileAccess.stat(`${model.root}/tokenizer.json`);
    const processBytes = contentBytes({
      ...TEXT,
      sequences: TEXT.tokens / CONTEXT,
      tokenizerBytes: tokenizer?.sizeBytes ?? 0,
      hasReference: false,
      kernelBytes: kernels.memoryBytes(threads),
    });
    const limitBytes = memoryLimitBytes ?? (await defaultMemoryLimit());
    const { memory } = shareMemory([description], { length: CONTEXT, processBytes, limitBytes, threads });
    const { peakMemoryBytes, leastMemoryBytes } = memory;
    return { context: CONTEXT, peakMemoryBytes, leastMemoryBytes, problem: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { context: CONTEXT, peakMemoryBytes: null, leastMemoryBytes: null, problem: error.what };
  }
}
