import type { EvaluatedChoices, EvaluatedText } from '../../core/contract/evaluation-result.ts';
import { summarizeChoices } from '../../core/evaluation/choices.ts';
import { compareScores, summarizeDivergence, summarizeScores } from '../../core/evaluation/summarize-scores.ts';
import { predictedIds, type TokenFileText } from '../../core/formats/tokens/token-file.ts';
import { joinIds } from '../../core/tokenizer/tokenizer.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { startUsage } from '../engine/process-usage.ts';
import type { ChoiceInputs, EvaluationInputs, TokenizedText } from './evaluation-inputs.ts';
import type { EvaluationScorers } from './evaluation-scorers.ts';
import { scoreChoices } from './score-choices.ts';
import { scoreWindows, type WindowTools } from './score-windows.ts';

export interface EvaluationTools extends Omit<WindowTools, 'scorer'> {
  options: EvaluateOptions;
  inputs: EvaluationInputs;
  scorers: EvaluationScorers;
}

/** What a text came to, with the scores of its tokens. */
export interface EvaluatedTextScores extends TokenFileText {
  summary: EvaluatedText;
}

/**
 * Scores one text and sums it up; with a noise floor, the reference is then scored against itself too.
 *
 * @param index among the texts: names its work in the journal
 */
export async function evaluateText(
  text: TokenizedText,
  index: number,
  tools: EvaluationTools,
): Promise<EvaluatedTextScores> {
  const { options, scorers, progress } = tools;
  const { context, noiseFloorSeed, reference } = options;
  const { windows, tokens } = text;
  const usage = startUsage();
  progress.stage('evaluate', text.text);
  const task = { key: `text ${index}`, windows, context, hasReference: reference !== null };
  const { scores, tokensRun } = await scoreWindows(task, { ...tools, scorer: () => scorers.main() });
  const ids = joinIds(windows);
  const targets = predictedIds(ids, windows.length, context);
  const { seconds, cpuSeconds } = await usage();
  const summary: EvaluatedText = {
    text: text.text,
    tokens,
    context,
    droppedTokens: tokens - ids.length,
    ...summarizeScores(scores, targets, windows.length),
    ...compareScores(scores, targets, windows.length),
    seconds,
    cpuSeconds,
    tokensPerSecond: tokensRun === 0 ? null : tokensRun / seconds,
  };
  if (noiseFloorSeed !== null && reference !== null) {
    progress.stage('noise floor', text.text);
    const ofNoise = { ...task, key: `noise ${index}` };
    const noise = await scoreWindows(ofNoise, { ...tools, scorer: () => scorers.noise(reference, noiseFloorSeed) });
    const { kl } = noise.scores;
    if (kl) summary.noiseFloor = { seed: noiseFloorSeed, ...summarizeDivergence(kl, windows.length) };
  }
  return { text: text.text, windows: windows.length, ids, scores, summary };
}

/** Asks every question of a choices file. */
export async function evaluateChoices(
  { file, questions, sequences }: ChoiceInputs,
  tools: EvaluationTools,
): Promise<EvaluatedChoices> {
  const { options, scorers, progress } = tools;
  progress.stage('choices', file);
  const hasReference = options.reference !== null;
  const found = await scoreChoices(sequences, hasReference, { ...tools, scorer: () => scorers.main() });
  const summary = { file, ...summarizeChoices(questions, found.model) };
  if (found.reference === null) return summary;
  const { accuracy, accuracyNormalized } = summarizeChoices(questions, found.reference);
  return { ...summary, referenceAccuracy: accuracy, referenceAccuracyNormalized: accuracyNormalized };
}
