import type { EvaluateResult } from '../../core/contract/evaluation-result.ts';
import { JobError, serializeError, WorkbenchError } from '../../core/errors.ts';
import { buildTokenFile } from '../../core/formats/tokens/token-file.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { writeFileDurably } from '../engine/durable-files.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { startUsage } from '../engine/process-usage.ts';
import { programVersion } from '../engine/run-identity.ts';
import { createTokenProgress } from '../engine/token-progress.ts';
import type { OpenScorer } from '../inference/scorer.ts';
import { beginEvaluation, type BegunEvaluation } from './begin-evaluation.ts';
import type { EvaluationInputs } from './evaluation-inputs.ts';
import { EvaluationScorers } from './evaluation-scorers.ts';
import { prepareEvaluation } from './prepare-evaluation.ts';
import { evaluateChoices, evaluateText, type EvaluatedTextScores } from './evaluate-text.ts';

/**
 * Measures a model on texts or choices, alone or against a reference.
 *
 * Everything that can be refused is refused before the first token is run. Finished windows are journaled: an interrupted
 * run goes on with `resume`, and ends with the same figures to the bit.
 * @throws ModelError, FormatError, UsageError for inputs that do not fit; JobError JOB_INTERRUPTED if it was stopped and
 * can be resumed; NumericsError NUMERICS_NOT_FINITE, naming the tensor; ResourceError
 */
export async function evaluateJob(
  options: EvaluateOptions,
  kernels: Kernels,
  home: string,
  openScorer: OpenScorer,
): Promise<EvaluateResult> {
  const usage = startUsage();
  const progress = createTokenProgress(options.onEvent);
  const scorers = new EvaluationScorers(options, openScorer);
  try {
    const { inputs, memory, tokensFile } = await prepareEvaluation(options, kernels, scorers, progress);
    const begun = await beginEvaluation(options, inputs, kernels, home);
    try {
      const tools = { options, inputs, begun, home, scorers, progress, signal: options.signal };
      progress.expect(totalTokens(inputs, options));
      const texts: EvaluatedTextScores[] = [];
      for (const [index, text] of inputs.texts.entries()) texts.push(await evaluateText(text, index, tools));
      const choices = inputs.choices && (await evaluateChoices(inputs.choices, tools));
      if (tokensFile !== null) await writeTokens(tokensFile, inputs, options, texts);
      const used = await usage();
      await begun.journal.append({ type: 'done', at: new Date().toISOString(), seconds: used.seconds });
      await begun.scoreFile.remove();
      const summaries = texts.map(({ summary }) => summary);
      const [only, ...more] = summaries;
      const { file: _, ...ofChoices } = choices ?? { file: '' };
      return {
        schema: 1,
        runId: begun.runId,
        model: options.model,
        reference: options.reference,
        context: options.context,
        device: 'cpu',
        addsBos: inputs.model.tokenizer.addsBos,
        ...ofChoices,
        ...(more.length === 0 ? only : {}),
        texts: summaries,
        choices,
        tokensFile,
        resumed: begun.isResumed,
        ...used,
        memory,
        notes: inputs.notes,
      };
    } catch (error) {
      throw await endFailed(error, begun);
    } finally {
      await begun.scoreFile.close();
      await begun.journal.close();
      begun.release();
    }
  } finally {
    await scorers.close();
  }
}

function totalTokens({ texts, choices }: EvaluationInputs, { noiseFloorSeed, context }: EvaluateOptions): number {
  const ofTexts = texts.reduce((sum, { windows }) => sum + windows.length * context, 0);
  const ofChoices = choices?.sequences.reduce((sum, { ids }) => sum + ids.length, 0) ?? 0;
  return ofTexts * (noiseFloorSeed === null ? 1 : 2) + ofChoices;
}

async function writeTokens(
  path: string,
  { model }: EvaluationInputs,
  { model: name, reference, context }: EvaluateOptions,
  texts: readonly EvaluatedTextScores[],
): Promise<void> {
  const facts = { program: programVersion(), model: name, reference, context, addsBos: model.tokenizer.addsBos };
  await writeFileDurably(path, buildTokenFile(facts, texts));
}

/** Notes how a run ended; returns the error to throw. What was scored stays for a resume. */
async function endFailed(error: unknown, { journal, runId }: BegunEvaluation): Promise<unknown> {
  const isStopped = error instanceof WorkbenchError && error.code === 'JOB_CANCELLED';
  const at = new Date().toISOString();
  // A full disk may refuse even this line; the run can be resumed without it.
  await journal
    .append(isStopped ? { type: 'interrupted', at } : { type: 'failed', at, error: serializeError(error) })
    .catch(() => undefined);
  if (!isStopped) return error;
  return new JobError({
    code: 'JOB_INTERRUPTED',
    what: 'The evaluation was interrupted; the windows that it has scored are kept.',
    where: { job: runId },
    whatToDo: 'Go on with it by the same command and --resume.',
    retryable: true,
    cause: error,
  });
}
