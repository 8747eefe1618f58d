import { FormatError } from '../errors.ts';
import { isJsonObject } from '../model/model-config.ts';
import { quoted } from '../quoted.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Sequence } from './score-sequences.ts';

/** One line of a choices file. */
export interface Question {
  context: string;
  choices: readonly string[];
  /** Index of the right choice. */
  answer: number;
  /** From 1 on. */
  line: number;
}

export interface ChoiceSummary {
  questions: number;
  /** Fraction of questions whose most likely choice is the right one. */
  accuracy: number;
  /** The same with each log-likelihood divided by the choice's characters. */
  accuracyNormalized: number;
}

/**
 * Reads a choices file: `{"context": "…", "choices": ["…", "…"], "answer": 0}` a line; empty lines are passed over.
 *
 * The text that is scored is `context` with the choice right behind it: a space between the two stands in one of them.
 * @throws FormatError CHOICES_INVALID, naming the line
 */
export function parseChoices(text: string, file: string): Question[] {
  // Some programs put a byte order mark in front, which is no JSON.
  const questions = text
    .replace(/^\ufeff/, '')
    .split('\n')
    .flatMap((content, index) => {
      return content.trim() === '' ? [] : [parseQuestion(content, index + 1, file)];
    });
  if (questions.length === 0) throw invalidLine(file, 1, 'there is no question in it');
  return questions;
}

function parseQuestion(content: string, line: number, file: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw invalidLine(file, line, 'this is not JSON');
  }
  if (!isJsonObject(value)) throw invalidLine(file, line, 'this is not an object');
  const { context, choices, answer } = value;
  if (typeof context !== 'string') throw invalidLine(file, line, '"context" is not a text');
  if (!Array.isArray(choices) || choices.length < 2) throw invalidLine(file, line, '"choices" are not two or more');
  const texts = choices.filter((choice): choice is string => typeof choice === 'string' && choice !== '');
  if (texts.length < choices.length) throw invalidLine(file, line, 'a choice is not a text, or empty');
  if (typeof answer !== 'number' || !Number.isInteger(answer) || answer < 0 || answer >= choices.length) {
    throw invalidLine(file, line, `"answer" is not a number from 0 to ${choices.length - 1}`);
  }
  return { context, choices: texts, answer, line };
}

/**
 * The token ids of a question's choices, each behind the context, of which the choice's own are to be scored.
 *
 * White space at the end of the context goes to the choice, as words begin with it: so does EleutherAI's evaluation
 * harness, and the choice's tokens are those of the whole behind as many as the context has.
 * @throws FormatError CHOICES_INVALID where context or choice has no token of its own, or the whole more than `maxLength`
 */
export function tokenizeQuestion(
  question: Question,
  tokenizer: Tokenizer,
  maxLength: number,
  file: string,
): Sequence[] {
  const { context, choices, line } = question;
  const before = tokenizer.encode(context.trimEnd()).length;
  if (before === 0) throw invalidLine(file, line, 'the context is empty, so nothing predicts the first token');
  return choices.map((choice) => {
    const ids = tokenizer.encode(context + choice);
    if (ids.length <= before) throw invalidLine(file, line, `the choice ${quoted(choice)} adds no token`);
    if (ids.length > maxLength) {
      throw invalidLine(file, line, `it has ${ids.length} tokens, and the model takes ${maxLength}`);
    }
    return { ids, from: before, to: ids.length };
  });
}

/**
 * How often the right choice is the most likely one; of equals the first counts.
 *
 * @param logLikelihoods of every choice of every question, in order
 */
export function summarizeChoices(questions: readonly Question[], logLikelihoods: readonly number[]): ChoiceSummary {
  let [right, rightNormalized, at] = [0, 0, 0];
  for (const { choices, answer } of questions) {
    const ofChoices = logLikelihoods.slice(at, at + choices.length);
    // Characters as readers count them, not UTF-16 units.
    const normalized = ofChoices.map((sum, index) => sum / [...(choices[index] ?? '')].length);
    if (greatestOf(ofChoices) === answer) right++;
    if (greatestOf(normalized) === answer) rightNormalized++;
    at += choices.length;
  }
  const { length } = questions;
  return { questions: length, accuracy: right / length, accuracyNormalized: rightNormalized / length };
}

function greatestOf(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? -Infinity) ? index : best), 0);
}

function invalidLine(file: string, line: number, what: string): FormatError {
  return new FormatError({
    code: 'CHOICES_INVALID',
    what: `${quoted(file)}, line ${line}: ${what}.`,
    where: { file, line },
    whatToDo: 'Write one {"context": "…", "choices": ["…", "…"], "answer": 0} a line.',
  });
}
