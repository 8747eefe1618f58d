import { join } from 'node:path';
import type { EvaluatedText, EvaluateResult } from '../../core/contract/evaluation-result.ts';
import { LATHE_FILE_NAME, writeLatheFile, type RecipeMetrics } from '../../core/contract/lathe-file.ts';
import { KernelError, WorkbenchError } from '../../core/errors.ts';
import { stopped } from '../../core/stop-if-asked.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import type { CompressOptions, EvaluateOptions } from '../engine/job-options.ts';
import { readLatheFile, sha256Hex } from '../engine/lathe-json.ts';
import type { BegunRun } from './begin-run.ts';
import type { RecipeFile, RecipeInputs } from './recipe-inputs.ts';

export interface OutputEvaluation {
  /** Absolute; finished and in its place. */
  output: string;
  inputs: RecipeInputs;
  options: CompressOptions;
  begun: BegunRun;
  evaluate: (options: EvaluateOptions) => Promise<EvaluateResult>;
}

/**
 * Measures a finished output against its source, as its recipe says, and adds what came of it to its `lathe.json`: nothing
 * is done where that stands there already. The windows are a run of their own, so that they are not lost either.
 *
 * @throws as `evaluateJob`; the output stays as it is
 */
export async function evaluateOutput({ output, inputs, options, begun, evaluate }: OutputEvaluation): Promise<void> {
  const { recipe, model, scheduling, threads, memoryLimitBytes, signal, onEvent } = options;
  if (recipe.evaluate === undefined) return;
  const lathe = await readLatheFile(output);
  if (lathe === null || lathe.metrics !== undefined) return;
  const { context, limitTokens = null } = recipe.evaluate;
  const { texts } = await evaluate({
    ...{ threads, memoryLimitBytes, signal, onEvent, scheduling },
    model: output,
    reference: model,
    texts: inputs.evaluationTexts.map(({ path }) => path),
    choices: null,
    context,
    limitTokens,
    tokensOut: null,
    noiseFloorSeed: null,
    resume: true,
    force: false,
  }).catch((error: unknown) => {
    // It is this run that can be resumed, and takes the evaluation along.
    throw error instanceof WorkbenchError && error.code === 'JOB_INTERRUPTED' ? stopped() : error;
  });
  const metrics = texts.map((text, index) => metricsOf(text, inputs.evaluationTexts[index]));
  const { integrity: _, ...content } = lathe;
  const text = writeLatheFile({ ...content, metrics, overlap: inputs.overlap }, sha256Hex);
  // A crash right after the rename must find that this is what the run promised.
  await begun.folder.journal.append({ type: 'committing', latheFileSha256: sha256Hex(text) });
  await begun.folder.journal.flush();
  await writeFileDurably(join(output, LATHE_FILE_NAME), text);
}

function metricsOf(text: EvaluatedText, file: RecipeFile | undefined): RecipeMetrics {
  const { klDivergence, referencePerplexity, perplexityRatio, top1Agreement } = text;
  const isCompared =
    klDivergence !== undefined &&
    referencePerplexity !== undefined &&
    perplexityRatio !== undefined &&
    top1Agreement !== undefined;
  if (file === undefined || !isCompared) {
    const what = 'An evaluation against the source came back without a comparison.';
    throw new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
  }
  const { tokens, context, windows, predictions, meanNegativeLogLikelihood, standardError, perplexity } = text;
  const { mean, standardError: ofMean, p99, max } = klDivergence;
  return {
    text: file.name,
    sha256: file.sha256,
    ...{ tokens, context, windows, predictions, meanNegativeLogLikelihood, standardError, perplexity },
    referencePerplexity,
    perplexityRatio,
    klDivergence: { mean, standardError: ofMean, p99, max },
    top1Agreement,
  };
}
