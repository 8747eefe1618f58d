import type { EvaluationPlan } from '../../core/contract/evaluation-result.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { createTokenProgress } from '../engine/token-progress.ts';
import type { OpenScorer } from '../inference/scorer.ts';
import { EvaluationScorers } from './evaluation-scorers.ts';
import { prepareEvaluation } from './prepare-evaluation.ts';

/**
 * What an evaluation would do: every check of it, and no token run. Writes nothing.
 *
 * @throws as the evaluation would before it runs a token
 */
export async function planEvaluationJob(
  options: EvaluateOptions,
  kernels: Kernels,
  openScorer: OpenScorer,
): Promise<EvaluationPlan> {
  const { context } = options;
  const scorers = new EvaluationScorers(options, openScorer);
  try {
    const prepared = await prepareEvaluation(options, kernels, scorers, createTokenProgress(options.onEvent));
    const { model, texts, choices, notes } = prepared.inputs;
    return {
      schema: 1,
      dryRun: true,
      model: options.model,
      reference: options.reference,
      context,
      device: 'cpu',
      addsBos: model.tokenizer.addsBos,
      texts: texts.map(({ text, tokens, windows }) => ({
        text,
        tokens,
        context,
        windows: windows.length,
        predictions: windows.length * (context - 1),
        droppedTokens: tokens - windows.length * context,
      })),
      choices: choices && {
        file: choices.file,
        questions: choices.questions.length,
        tokens: choices.sequences.reduce((sum, { ids }) => sum + ids.length, 0),
      },
      tokensFile: prepared.tokensFile,
      memory: prepared.memory,
      notes,
    };
  } finally {
    await scorers.close();
  }
}
