import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { EvaluateOptions } from '../../../workers/engine/job-options.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { ALPHABET, fakeScorers, letters, tokenizerJson, useEvaluationPlace } from './evaluation-fixture.ts';

const place = useEvaluationPlace();

/** Refused before a token is run, and before anything is written. */
async function refusal(parts: Partial<EvaluateOptions>, scorers = fakeScorers()) {
  const error = await errorOf(() => place().evaluate(parts, scorers));
  expect(scorers.sequences).toBe(0);
  expect(scorers.closed).toBe(scorers.opened.length);
  expect(existsSync(place().home)).toBe(false);
  return error;
}

test('a model without a tokenizer', async () => {
  place().writeModel('a', null);
  const text = place().write('text.txt', letters(50));
  expect(await refusal({ texts: [text] })).toMatchObject({ code: 'TOKENIZER_MISSING' });
  place().writeModel('b');
  const error = await refusal({ texts: [text], model: place().at('b'), reference: place().at('a') });
  expect(error).toMatchObject({ code: 'TOKENIZER_MISSING', where: { file: place().at('a') } });
});

test('texts that are missing, empty, short or no UTF-8', async () => {
  place().writeModel('a');
  const missing = place().at('missing.txt');
  expect(await refusal({ texts: [missing] })).toMatchObject({ code: 'FILE_NOT_FOUND', where: { file: missing } });
  const empty = place().write('empty.txt', '');
  expect(await refusal({ texts: [empty] })).toMatchObject({ code: 'TEXT_TOO_SHORT' });
  const short = place().write('short.txt', letters(7));
  const error = await refusal({ texts: [place().write('text.txt', letters(50)), short] });
  expect(error).toMatchObject({ code: 'TEXT_TOO_SHORT', where: { file: short } });
  expect(error.what).toContain('7 tokens, fewer than one window of 8');
  const limited = await refusal({ texts: [place().at('text.txt')], limitTokens: 5 });
  expect(limited).toMatchObject({ code: 'TEXT_TOO_SHORT' });
  const binary = place().write('binary.txt', Uint8Array.of(0x61, 0x62, 0xff));
  expect(await refusal({ texts: [binary] })).toMatchObject({ code: 'TEXT_NOT_UTF8', where: { byteOffset: 2 } });
});

test('token ids beyond the embedding', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', `${letters(50)}z z z`);
  const error = await refusal({ texts: [text] }, fakeScorers({ facts: { vocabularySize: ALPHABET.length - 1 } }));
  expect(error).toMatchObject({ code: 'MODEL_TOKEN_OUT_OF_VOCABULARY' });
  expect(error.what).toContain('27 rows');
});

test('a reference whose tokenizer gives other ids, or another number of them', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', `same start ${letters(50)}`);
  place().writeModel('b', tokenizerJson(['b', 'a', ...ALPHABET.slice(2)]));
  const error = await refusal({ texts: [text], reference: place().at('b') });
  expect(error).toMatchObject({ code: 'EVALUATE_REFERENCE_DIFFERS', where: { file: place().at('b') } });
  expect(error.what).toContain('token 1 of');
  const merged = JSON.parse(tokenizerJson([...ALPHABET, 'sa'])) as { model: { merges: string[] } };
  merged.model.merges.push('s a');
  place().writeModel('c', JSON.stringify(merged));
  const facts = { vocabularySize: ALPHABET.length + 1 };
  const other = await refusal({ texts: [text], reference: place().at('c') }, fakeScorers({ facts }));
  expect(other).toMatchObject({ code: 'EVALUATE_REFERENCE_DIFFERS' });
});

test('a context that the model has no positions for; one that it was only not made for is noted', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(100));
  const learned = fakeScorers({ facts: { positions: { count: 16, isLimit: true } } });
  const error = await refusal({ texts: [text], context: 17 }, learned);
  expect(error).toMatchObject({ code: 'EVALUATE_CONTEXT_TOO_LONG' });
  const rotary = fakeScorers({ facts: { positions: { count: 16, isLimit: false } } });
  const result = await place().evaluate({ texts: [text], context: 17 }, rotary);
  expect(result.notes).toEqual([expect.stringContaining('was made for 16')]);
});

test('questions that are none, or longer than the model', async () => {
  place().writeModel('a');
  const choices = place().write('q.jsonl', '{"context": "a", "choices": [" b"], "answer": 0}');
  expect(await refusal({ choices })).toMatchObject({ code: 'CHOICES_INVALID', where: { file: choices, line: 1 } });
  const long = place().write('long.jsonl', '\n{"context": "abcdef", "choices": [" b", " c"], "answer": 0}');
  const facts = { positions: { count: 7, isLimit: false } };
  const error = await refusal({ choices: long }, fakeScorers({ facts }));
  expect(error).toMatchObject({ code: 'CHOICES_INVALID', where: { line: 2 } });
});

test('a place of the tokens file that cannot be, before a token is run', async () => {
  const model = place().writeModel('a');
  const text = place().write('text.txt', letters(100));
  const choices = place().write('q.jsonl', '{"context": "ab", "choices": [" c", " d"], "answer": 0}');
  place().write('folder/file', 'x');
  const asked = { texts: [text], choices, force: true };
  for (const [tokensOut, code] of [
    ['no/folder/tokens', 'FILE_NOT_FOUND'],
    ['text.txt/tokens', 'FILE_NOT_FOUND'],
    ['folder', 'JOB_OUTPUT_EXISTS'],
    ['text.txt', 'USAGE_OUTPUT_IS_INPUT'],
    ['q.jsonl', 'USAGE_OUTPUT_IS_INPUT'],
    ['a/tokens', 'USAGE_OUTPUT_IS_INPUT'],
    ['folder/../a/config.json', 'USAGE_OUTPUT_IS_INPUT'],
  ] as const) {
    expect(await refusal({ ...asked, tokensOut: place().at(tokensOut) }), tokensOut).toMatchObject({ code });
  }
  if (process.platform !== 'win32') {
    expect(await refusal({ ...asked, tokensOut: '/dev/null' })).toMatchObject({ code: 'JOB_OUTPUT_EXISTS' });
    symlinkSync(model, place().at('link'));
    const tokensOut = place().at('link/model.safetensors');
    expect(await refusal({ ...asked, tokensOut })).toMatchObject({ code: 'USAGE_OUTPUT_IS_INPUT' });
  }
  const there = place().at('folder/file');
  expect(await refusal({ texts: [text], tokensOut: there })).toMatchObject({ code: 'JOB_OUTPUT_EXISTS' });
  expect(readFileSync(there, 'utf8')).toBe('x');
});

test('a memory limit, or free memory, that is less than the least', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(100));
  const scorers = fakeScorers({ leastBytes: 2 ** 30 });
  const error = await refusal({ texts: [text], memoryLimitBytes: 2 ** 30 - 1 }, scorers);
  expect(error).toMatchObject({ code: 'RESOURCE_MEMORY_LIMIT' });
  expect(error.whatToDo).toContain('--memory-limit to 1024MiB');
  expect(await refusal({ texts: [text] }, fakeScorers({ leastBytes: 2 ** 60 }))).toMatchObject({
    code: 'RESOURCE_MEMORY_LIMIT',
    retryable: true,
  });
});

test('a model that is not there, and one that is none', async () => {
  const text = place().write('text.txt', letters(50));
  expect(await refusal({ texts: [text], model: place().at('no') })).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  expect(await refusal({ texts: [text], model: text })).toMatchObject({ code: 'MODEL_UNKNOWN_KIND' });
});
