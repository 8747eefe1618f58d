import { expect, test } from 'vitest';
import { parseChoices, summarizeChoices, tokenizeQuestion } from '../../../../core/evaluation/choices.ts';
import { createTokenizer } from '../../../../core/tokenizer/tokenizer.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const tokenizer = createTokenizer({
  file: 'tokenizer.json',
  tokenizerConfig: null,
  tokenizerJson: {
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    model: { type: 'BPE', vocab: { a: 0, b: 1, Ġ: 2, Ġa: 3, ab: 4 }, merges: ['Ġ a', 'a b'] },
  },
});

function line(change: object): string {
  return JSON.stringify({ context: 'a', choices: ['b', ' a'], answer: 1, ...change });
}

test('reads a question a line, and passes over empty lines', () => {
  const questions = parseChoices(`${line({})}\n\n${line({ context: 'b', answer: 0 })}\r\n`, 'q.jsonl');
  expect(questions).toEqual([
    { context: 'a', choices: ['b', ' a'], answer: 1, line: 1 },
    { context: 'b', choices: ['b', ' a'], answer: 0, line: 3 },
  ]);
});

test('takes a byte order mark in front', () => {
  expect(parseChoices(`\ufeff${line({})}`, 'q.jsonl')).toHaveLength(1);
});

test.each([
  ['', 1],
  [`${line({})}\n{`, 2],
  ['[]', 1],
  [line({ context: 1 }), 1],
  [line({ choices: 'ab' }), 1],
  [line({ choices: ['a'] }), 1],
  [line({ choices: ['a', ''] }), 1],
  [line({ choices: ['a', 1] }), 1],
  [line({ answer: 2 }), 1],
  [line({ answer: -1 }), 1],
  [line({ answer: 0.5 }), 1],
  [line({ answer: 'a' }), 1],
])('names the line of what is no question: %j', async (text, number) => {
  const error = await errorOf(() => parseChoices(text, 'q.jsonl'));
  expect(error).toMatchObject({ code: 'CHOICES_INVALID', where: { file: 'q.jsonl', line: number } });
});

test('the choice is what stands behind the context, with the white space between them', () => {
  const tokens = (context: string, choices: string[]) =>
    tokenizeQuestion({ context, choices, answer: 0, line: 1 }, tokenizer, 100, 'q').map(({ ids, from, to }) => [
      [...ids],
      from,
      to,
    ]);
  expect(tokens('b', [' a', 'b'])).toEqual([
    [[1, 3], 1, 2],
    [[1, 1], 1, 2],
  ]);
  // The space goes to the choice, where it makes one token with it.
  expect(tokens('b ', ['a', 'b'])).toEqual([
    [[1, 3], 1, 2],
    [[1, 2, 1], 1, 3],
  ]);
});

test('a question that cannot be asked is named', async () => {
  const ask = (context: string, choices: string[], maxLength = 100) =>
    errorOf(() => tokenizeQuestion({ context, choices, answer: 0, line: 7 }, tokenizer, maxLength, 'q'));
  expect(await ask('', ['a', 'b'])).toMatchObject({ code: 'CHOICES_INVALID', where: { line: 7 } });
  expect(await ask('  ', ['a', 'b'])).toMatchObject({ code: 'CHOICES_INVALID' });
  // "a" and "b" become one token, and nothing is left of the choice.
  expect(await ask('a', ['b', ' a'])).toMatchObject({ code: 'CHOICES_INVALID' });
  expect(await ask('b', [' a a a', ' a'], 3)).toMatchObject({ code: 'CHOICES_INVALID' });
});

test('the most likely choice counts, by itself and by its characters', () => {
  const questions = [
    { context: '', choices: ['long choice', 'no'], answer: 0, line: 1 },
    { context: '', choices: ['👩‍💻👩‍💻', 'abcdefg'], answer: 0, line: 2 },
    { context: '', choices: ['a', 'b', 'c'], answer: 0, line: 3 },
  ];
  const summary = summarizeChoices(questions, [-8, -3, -6, -7.1, -1, -1, -2]);
  // By characters: -8/11 against -3/2; -6/6 against -7.1/7 (the signs are three characters each); of equals the first.
  expect(summary).toEqual({ questions: 3, accuracy: 2 / 3, accuracyNormalized: 1 });
});
