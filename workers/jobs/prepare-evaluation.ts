import type { EvaluationMemory } from '../../core/contract/evaluation-result.ts';
import { contentBytes, requireMemory } from '../../core/evaluation/evaluation-memory.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import type { TokenProgress } from '../engine/token-progress.ts';
import { readEvaluationInputs, type EvaluationInputs } from './evaluation-inputs.ts';
import type { EvaluationScorers } from './evaluation-scorers.ts';
import { tokensPath } from './tokens-path.ts';

export interface PreparedEvaluation {
  inputs: EvaluationInputs;
  memory: EvaluationMemory;
  /** Where the figures of every token go, absolute. */
  tokensFile: string | null;
}

/**
 * Everything that can be refused before the first token is run: the place of the tokens file, models, tokenizers, texts,
 * choices, memory.
 *
 * @throws as `tokensPath` and `readEvaluationInputs`; ResourceError RESOURCE_MEMORY_LIMIT
 */
export async function prepareEvaluation(
  options: EvaluateOptions,
  kernels: Kernels,
  scorers: EvaluationScorers,
  progress: TokenProgress,
): Promise<PreparedEvaluation> {
  progress.stage('plan');
  const tokensFile = options.tokensOut === null ? null : await tokensPath(options.tokensOut, options);
  const inputs = await readEvaluationInputs(options, scorers, progress);
  const { memoryLimitBytes } = options;
  const memory = await scorers.reserve({
    length: longestOf(inputs, options.context),
    processBytes: contentBytes(contentsOf(inputs, kernels.memoryBytes(options.threads))),
    limitBytes: memoryLimitBytes ?? (await defaultMemoryLimit()),
    threads: options.threads,
    hasNoise: options.noiseFloorSeed !== null,
  });
  requireMemory(memory, memoryLimitBytes !== null);
  return { inputs, memory, tokensFile };
}

function longestOf({ texts, choices }: EvaluationInputs, context: number): number {
  const ofChoices = choices?.sequences.reduce((longest, { ids }) => Math.max(longest, ids.length), 0) ?? 0;
  return Math.max(texts.length === 0 ? 0 : context, ofChoices);
}

function contentsOf({ model, reference, texts, choices }: EvaluationInputs, kernelBytes: number) {
  const ofChoices = choices?.sequences ?? [];
  return {
    tokenizerBytes: model.tokenizerBytes + (reference?.tokenizerBytes ?? 0),
    textBytes: texts.reduce((largest, { sizeBytes }) => Math.max(largest, sizeBytes), choices?.sizeBytes ?? 0),
    tokens: [...texts.map(({ tokens }) => tokens), ...ofChoices.map(({ ids }) => ids.length)].reduce(sumOf, 0),
    sequences: texts.reduce((sum, { windows }) => sum + windows.length, ofChoices.length),
    hasReference: reference !== null,
    kernelBytes,
  };
}

function sumOf(sum: number, count: number): number {
  return sum + count;
}
