import { join, resolve } from 'node:path';
import type { EvaluatedText, EvaluateResult } from '../../core/contract/evaluation-result.ts';
import { LATHE_FILE_NAME, writeLatheFile, type RecipeMetrics } from '../../core/contract/lathe-file.ts';
import { KernelError, ModelError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { stopped } from '../../core/stop-if-asked.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import type { CompressOptions, EvaluateOptions } from '../engine/job-options.ts';
import { latheFileSha256, readLatheFile, sha256Hex } from '../engine/lathe-json.ts';
import { openOutputFolder } from '../engine/output-folder.ts';
import type { BegunRun } from './begin-run.ts';
import { readRecipeInputs, type RecipeFile, type RecipeInputs } from './recipe-inputs.ts';

export interface OutputEvaluation {
  /** Absolute; finished and in its place. */
  output: string;
  inputs: RecipeInputs;
  options: CompressOptions;
  begun: BegunRun;
  kernels: Kernels;
  evaluate: (options: EvaluateOptions) => Promise<EvaluateResult>;
}

/** What a recipe's evaluation asks, of any two models. */
export function recipeEvaluation(
  models: { model: string; reference: string },
  { evaluationTexts }: RecipeInputs,
  { recipe, scheduling, threads, memoryLimitBytes, signal, onEvent }: CompressOptions,
): EvaluateOptions | null {
  if (recipe.evaluate === undefined) return null;
  const { context, limitTokens = null } = recipe.evaluate;
  return {
    ...{ threads, memoryLimitBytes, signal, onEvent, scheduling },
    ...models,
    texts: evaluationTexts.map(({ path }) => path),
    choices: null,
    context,
    limitTokens,
    tokensOut: null,
    noiseFloorSeed: null,
    resume: true,
    mayBeginAnew: true,
    force: false,
  };
}

/**
 * Measures a finished output against its source, as its recipe says, and adds what came of it to its `lathe.json`: nothing
 * is done where that stands there already. The windows are a run of their own, so that they are not lost either.
 *
 * @throws as `evaluateJob`; ModelError MODEL_CHANGED where the output or a text became another one meanwhile. The output stays
 * as it is
 */
export async function evaluateOutput(parts: OutputEvaluation): Promise<void> {
  const { output, inputs, options, evaluate } = parts;
  const asked = recipeEvaluation({ model: output, reference: options.model }, inputs, options);
  if (asked === null) return;
  const measured = await latheFileSha256(output);
  const lathe = await readLatheFile(output);
  if (lathe === null || lathe.metrics !== undefined) return;
  const { texts } = await evaluate(asked).catch(async (error: unknown) => {
    // It is this run that can be resumed, and takes the evaluation along.
    if (error instanceof WorkbenchError && error.code === 'JOB_INTERRUPTED') throw stopped();
    // What is read from another file than was begun with may be anything.
    throw (await latheFileSha256(output)) === measured ? error : changed('the output', output);
  });
  const now = await readRecipeInputs(options.recipe, resolve(options.recipeFolder ?? '.'));
  const other = inputs.evaluationTexts.find(({ sha256 }, index) => now.evaluationTexts[index]?.sha256 !== sha256);
  if (other !== undefined) throw changed(`the text "${other.name}"`, output);
  const metrics = texts.map((text, index) => metricsOf(text, inputs.evaluationTexts[index]));
  const { integrity: _, ...content } = lathe;
  await addToOutput(writeLatheFile({ ...content, metrics, overlap: inputs.overlap }, sha256Hex), measured, parts);
}

/** With the output's lock, so that nobody replaces it meanwhile; refuses one that somebody has replaced before. */
async function addToOutput(
  text: string,
  measured: string | null,
  { output, begun, kernels }: OutputEvaluation,
): Promise<void> {
  const place = await openOutputFolder(output, kernels);
  try {
    if ((await latheFileSha256(output)) !== measured) throw changed('the output', output);
    // A crash right after the rename must find that this is what the run promised.
    await begun.folder.journal.append({ type: 'committing', latheFileSha256: sha256Hex(text) });
    await begun.folder.journal.flush();
    await writeFileDurably(join(output, LATHE_FILE_NAME), text);
  } finally {
    // What another run has left there is its own.
    if (place.unfinished === null) await place.discard();
    else place.leave();
  }
}

function changed(what: string, output: string): ModelError {
  return new ModelError({
    code: 'MODEL_CHANGED',
    what: `While the output was measured, ${what} became another one: what was measured is told of nothing.`,
    where: { file: output },
    whatToDo: 'Let nothing change output and texts, and go on with --resume, or begin anew with --force.',
  });
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
