/** What an evaluation needs before it may run a model: models, tokenizers, texts as token ids; every check of them. */
import { ModelError, UsageError } from '../../core/errors.ts';
import { parseChoices, tokenizeQuestion, type Question } from '../../core/evaluation/choices.ts';
import type { Sequence } from '../../core/evaluation/score-sequences.ts';
import { paragraphsOf, sharedParagraphs, type Paragraphs } from '../../core/evaluation/shared-paragraphs.ts';
import { cutWindows } from '../../core/evaluation/windows.ts';
import { quoted } from '../../core/quoted.ts';
import { readText } from '../../core/tokenizer/read-text.ts';
import { formatCount, formatFraction } from '../../core/units.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { withModelNamed } from '../engine/name-model.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import type { TokenProgress } from '../engine/token-progress.ts';
import type { ScorerFacts } from '../inference/scorer.ts';
import { checkIds, encodeInPieces, openEvaluatedModel, type EvaluatedModel } from './evaluated-model.ts';
import type { EvaluationScorers } from './evaluation-scorers.ts';

/** A text as windows of token ids. */
export interface TokenizedText {
  /** As it was named. */
  text: string;
  sizeBytes: number;
  /** Tokens of the text, or as many as the limit keeps. */
  tokens: number;
  windows: Int32Array[];
}

export interface ChoiceInputs {
  /** As it was named. */
  file: string;
  sizeBytes: number;
  questions: Question[];
  /** Of every choice of every question, in order. */
  sequences: Sequence[];
}

export interface EvaluationInputs {
  model: EvaluatedModel;
  reference: EvaluatedModel | null;
  texts: TokenizedText[];
  choices: ChoiceInputs | null;
  /** What a user may want to know, in whole sentences. */
  notes: string[];
}

/**
 * Opens the models, reads and tokenises the texts, and refuses whatever cannot be evaluated.
 *
 * @throws as `openModel` and `readTokenizer`; what opening a scorer throws; FormatError as `readText`, TEXT_TOO_SHORT,
 * CHOICES_INVALID; UsageError EVALUATE_CONTEXT_TOO_LONG; ModelError MODEL_TOKEN_OUT_OF_VOCABULARY,
 * EVALUATE_REFERENCE_DIFFERS
 */
export async function readEvaluationInputs(
  options: EvaluateOptions,
  scorers: EvaluationScorers,
  progress: TokenProgress,
): Promise<EvaluationInputs> {
  const open = (path: string) => withModelNamed(path, () => openEvaluatedModel(path));
  const model = await open(options.model);
  const reference = options.reference === null ? null : await open(options.reference);
  progress.stage('load');
  const { facts } = await scorers.main();
  const notes = [...model.opened.notes, ...model.tokenizer.notes];
  if (options.texts.length > 0) notes.push(...checkContext(options, facts));
  for (const message of notes) options.onEvent({ event: 'note', message });
  progress.stage('tokenise');
  const texts: TokenizedText[] = [];
  for (const path of options.texts) {
    texts.push(await tokenizeText(path, model, reference, { ...options, vocabularySize: facts.vocabularySize }));
  }
  for (const message of await sharedTexts(options.texts)) {
    notes.push(message);
    options.onEvent({ event: 'note', message });
  }
  const choices = options.choices === null ? null : await readQuestions(options.choices, model, reference, facts);
  return { model, reference, texts, choices, notes };
}

/** Notes on a context that the model was not made for; refuses one that it cannot take. */
function checkContext({ context, model }: EvaluateOptions, { positions }: ScorerFacts): string[] {
  if (positions === null || context <= positions.count) return [];
  const found = `a context of ${formatCount(context)} tokens, but ${quoted(model)} was made for ${formatCount(positions.count)}`;
  if (!positions.isLimit) return [`This is ${found}: likelihoods behind that may be worse than they need be.`];
  throw new UsageError({
    code: 'EVALUATE_CONTEXT_TOO_LONG',
    what: `This is ${found} and has no more positions.`,
    whatToDo: `Write --context ${positions.count}, or less.`,
  });
}

interface TokenizeOptions extends Pick<EvaluateOptions, 'context' | 'limitTokens' | 'signal'> {
  /** Rows of the model's embedding. */
  vocabularySize: number;
}

/** Reads a text and turns it into windows, once; with a reference, its tokenizer must give the same ids. */
async function tokenizeText(
  path: string,
  model: EvaluatedModel,
  reference: EvaluatedModel | null,
  options: TokenizeOptions,
): Promise<TokenizedText> {
  const { text, bytes } = await readText(path, nodeFileAccess);
  const ids = await encodeInPieces(model.tokenizer, text, options);
  if (reference !== null) {
    const wanted = await encodeInPieces(reference.tokenizer, text, options);
    checkSameIds(ids, wanted, path, model, reference);
  }
  checkIds(ids, model, options.vocabularySize);
  return { text: path, sizeBytes: bytes.length, tokens: ids.length, windows: cutWindows(ids, options.context, path) };
}

/** Notes on texts that share paragraphs: their figures are less independent than two texts suggest. */
async function sharedTexts(paths: readonly string[]): Promise<string[]> {
  if (paths.length < 2) return [];
  const notes: string[] = [];
  const before: { path: string; paragraphs: Paragraphs }[] = [];
  for (const path of paths) {
    const paragraphs = paragraphsOf((await readText(path, nodeFileAccess)).text);
    for (const other of before) {
      const { shared, fraction, overlap } = sharedParagraphs(paragraphs, other.paragraphs);
      if (!overlap) continue;
      const part = `${formatCount(shared)} paragraph${shared === 1 ? '' : 's'}, ${formatFraction(fraction)} of it`;
      notes.push(`${quoted(path)} shares text with ${quoted(other.path)}: ${part}.`);
    }
    before.push({ path, paragraphs });
  }
  return notes;
}

async function readQuestions(
  path: string,
  model: EvaluatedModel,
  reference: EvaluatedModel | null,
  { vocabularySize, positions }: ScorerFacts,
): Promise<ChoiceInputs> {
  const { text, bytes } = await readText(path, nodeFileAccess);
  const questions = parseChoices(text, path);
  const maxLength = positions?.count ?? Infinity;
  const sequences = questions.flatMap((question) => tokenizeQuestion(question, model.tokenizer, maxLength, path));
  for (const { ids } of sequences) checkIds(ids, model, vocabularySize);
  if (reference !== null) {
    const wanted = questions.flatMap((question) => tokenizeQuestion(question, reference.tokenizer, maxLength, path));
    sequences.forEach(({ ids }, index) => {
      checkSameIds(ids, wanted[index]?.ids ?? ids.subarray(0, 0), path, model, reference);
    });
  }
  return { file: path, sizeBytes: bytes.length, questions, sequences };
}

function checkSameIds(
  ids: Int32Array,
  wanted: Int32Array,
  text: string,
  model: EvaluatedModel,
  reference: EvaluatedModel,
): void {
  const length = Math.max(ids.length, wanted.length);
  for (let index = 0; index < length; index++) {
    if (ids[index] === wanted[index]) continue;
    throw new ModelError({
      code: 'EVALUATE_REFERENCE_DIFFERS',
      what: `The reference ${quoted(reference.path)} has another tokenizer than ${quoted(model.path)}: token ${index} of ${quoted(text)} is ${shownId(wanted[index])} to it, not ${shownId(ids[index])}.`,
      where: { file: reference.path },
      whatToDo: 'Name the model that this one was made from; likelihoods of other tokens cannot be compared.',
    });
  }
}

function shownId(id: number | undefined): string {
  return id === undefined ? 'missing' : String(id);
}
