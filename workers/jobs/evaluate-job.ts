import type { EvaluatedText, EvaluateResult } from '../../core/contract/evaluation-result.ts';
import type { RunFigures } from '../../core/contract/run-figures.ts';
import { JobError, WorkbenchError } from '../../core/errors.ts';
import { buildTokenFile } from '../../core/formats/tokens/token-file.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { holdsBytes, writeFileDurably } from '../engine/durable-files.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { plannedDemand } from '../engine/memory-limit.ts';
import { refuseExistingFile, writeOutputFile } from '../engine/output-file.ts';
import { startUsage, type UsageSince } from '../engine/process-usage.ts';
import { applyRetention } from '../engine/retention.ts';
import { programVersion } from '../engine/run-identity.ts';
import { RunRecorder } from '../engine/run-recorder.ts';
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
  asked: EvaluateOptions,
  kernels: Kernels,
  home: string,
  openScorer: OpenScorer,
): Promise<EvaluateResult> {
  const usage = startUsage();
  const recorder = new RunRecorder(asked.onEvent);
  const options = { ...asked, onEvent: recorder.onEvent };
  const nameOf = (path: string) => options.names?.get(path) ?? path;
  const progress = createTokenProgress(options.onEvent);
  const scorers = new EvaluationScorers(options, openScorer);
  try {
    const { inputs: read, memory, tokensFile } = await prepareEvaluation(options, kernels, scorers, progress);
    // Others of the same queue may hold the memory that this one plans with.
    const demand = plannedDemand(memory, options.threads);
    return await withLease(options, poolOf(options), demand, 'this evaluation', async () => {
      const inputs = withNames(read, nameOf);
      const begun = await beginEvaluation(options, inputs, kernels, home);
      recorder.begin(begun.folder);
      try {
        const { runId, isResumed } = begun;
        recorder.log('info', isResumed ? 'The run goes on.' : 'The run begins.', { runId, threads: options.threads });
        await applyRetention(home, runId, kernels, recorder);
        if (tokensFile !== null && !isResumed) await refuseExistingFile(tokensFile, options.force);
        await begun.journal.append({ type: 'plan', items: totalItems(inputs, options) });
        const tools = { options, inputs, begun, home, scorers, progress, signal: options.signal };
        progress.expect(totalTokens(inputs, options));
        const texts: EvaluatedTextScores[] = [];
        for (const [index, text] of inputs.texts.entries()) texts.push(await evaluateText(text, index, tools));
        const choices = inputs.choices && (await evaluateChoices(inputs.choices, tools));
        if (tokensFile !== null) await writeTokens(tokensFile, inputs, options, texts, { kernels, nameOf });
        const used = await usage();
        const summaries = texts.map(({ summary }) => summary);
        await recorder.done(figuresOf(summaries, choices, used));
        await begun.scoreFile.remove();
        const [only, ...more] = summaries;
        const { file: _, ...ofChoices } = choices ?? { file: '' };
        return {
          schema: 1,
          runId: begun.runId,
          model: nameOf(options.model),
          reference: options.reference && nameOf(options.reference),
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
        throw await endFailed(error, begun, recorder);
      } finally {
        await begun.close();
      }
    });
  } finally {
    await scorers.close();
  }
}

function totalTokens({ texts, choices }: EvaluationInputs, { noiseFloorSeed, context }: EvaluateOptions): number {
  const ofTexts = texts.reduce((sum, { windows }) => sum + windows.length * context, 0);
  const ofChoices = choices?.sequences.reduce((sum, { ids }) => sum + ids.length, 0) ?? 0;
  return ofTexts * (noiseFloorSeed === null ? 1 : 2) + ofChoices;
}

/** Windows of all passes, and choices. */
function totalItems({ texts, choices }: EvaluationInputs, { noiseFloorSeed }: EvaluateOptions): number {
  const windows = texts.reduce((sum, text) => sum + text.windows.length, 0);
  return windows * (noiseFloorSeed === null ? 1 : 2) + (choices?.sequences.length ?? 0);
}

/** The inputs under the names that they had when the run began. */
function withNames(inputs: EvaluationInputs, nameOf: (path: string) => string): EvaluationInputs {
  const { texts, choices } = inputs;
  return {
    ...inputs,
    texts: texts.map((text) => ({ ...text, text: nameOf(text.text) })),
    choices: choices && { ...choices, file: nameOf(choices.file) },
  };
}

/** What the journal keeps of the result. */
function figuresOf(texts: readonly EvaluatedText[], choices: EvaluateResult['choices'], used: UsageSince): RunFigures {
  return {
    ...used,
    texts: texts.map((of) => {
      const { text, tokens, windows, predictions, context, meanNegativeLogLikelihood, perplexity, standardError } = of;
      const measured = { meanNegativeLogLikelihood, perplexity, standardError };
      const { referencePerplexity, klDivergence, top1Agreement } = of;
      const compared = {
        referencePerplexity,
        klDivergenceMean: klDivergence?.mean,
        klDivergenceStandardError: klDivergence?.standardError,
        top1Agreement,
      };
      return { text, tokens, windows, predictions, context, ...measured, ...compared };
    }),
    ...(choices === null ? {} : { choices }),
  };
}

async function writeTokens(
  path: string,
  { model }: EvaluationInputs,
  { model: modelPath, reference, context, force, onEvent }: EvaluateOptions,
  texts: readonly EvaluatedTextScores[],
  { kernels, nameOf }: { kernels: Kernels; nameOf: (path: string) => string },
): Promise<void> {
  const names = { model: nameOf(modelPath), reference: reference && nameOf(reference) };
  const facts = { program: programVersion(), ...names, context, addsBos: model.tokenizer.addsBos };
  const bytes = buildTokenFile(facts, texts);
  // A run that was killed after its file took its place finds it there again.
  const mayReplace = force || (await holdsBytes(path, bytes));
  const options = { force: mayReplace, kernels, onEvent };
  await writeOutputFile(path, 'evaluate', options, (part) => writeFileDurably(part, bytes));
}

/** Notes how a run ended; returns the error to throw. What was scored stays for a resume. */
async function endFailed(error: unknown, { runId }: BegunEvaluation, recorder: RunRecorder): Promise<unknown> {
  const isStopped = error instanceof WorkbenchError && error.code === 'JOB_CANCELLED';
  await recorder.failed(error);
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
