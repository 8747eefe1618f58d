import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { EvaluateResult } from '../../../core/contract/evaluation-result.ts';
import { ResourcePool } from '../../../core/scheduling/resource-pool.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { readTokenFile } from '../../helpers/read-token-file.ts';
import { ALPHABET, fakeScorers, letters, tokenizerJson, useEvaluationPlace } from './evaluation-fixture.ts';

const place = useEvaluationPlace();

/** What does not depend on the clock. */
function figuresOf({ texts, choices }: EvaluateResult) {
  return {
    choices,
    texts: texts.map(({ seconds: _, cpuSeconds: _2, tokensPerSecond: _3, ...figures }) => figures),
  };
}

test('windows, predictions and the dropped end are those of the protocol', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(83));
  const scorers = fakeScorers();
  const result = await place().evaluate({ texts: [text] }, scorers);
  expect(result).toMatchObject({
    schema: 1,
    model: place().at('a'),
    reference: null,
    device: 'cpu',
    addsBos: false,
    context: 8,
    tokens: 83,
    windows: 10,
    predictions: 70,
    droppedTokens: 3,
    resumed: false,
    tokensFile: null,
    choices: null,
  });
  expect(result.perplexity).toBe(Math.exp(result.meanNegativeLogLikelihood!));
  expect(result.texts).toHaveLength(1);
  const { seconds: _, cpuSeconds: _2, ...ofText } = result.texts[0]!;
  expect(result).toMatchObject(ofText);
  expect(result).not.toHaveProperty('klDivergence');
  expect(result.tokensPerSecond).toBeGreaterThan(0);
  expect(scorers).toMatchObject({ sequences: 10, closed: 1 });
});

test('figures do not depend on how windows are batched', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const text = place().write('text.txt', letters(200));
  const asked = { texts: [text], reference: place().at('b') };
  const expected = figuresOf(await place().evaluate(asked, fakeScorers({ batch: 1 })));
  for (const batch of [2, 7, 100]) {
    expect(figuresOf(await place().evaluate(asked, fakeScorers({ batch })))).toEqual(expected);
  }
});

test('a model does not diverge from itself, and another does', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const text = place().write('text.txt', letters(200));
  const self = await place().evaluate({ texts: [text], reference: place().at('a') });
  const none = { mean: 0, median: 0, p90: 0, p99: 0, max: 0, standardError: 0 };
  expect(self).toMatchObject({ klDivergence: none, top1Agreement: 1, perplexityRatio: 1 });
  expect(self.nllDifference).toEqual({ mean: 0, standardError: 0 });
  expect(self.flips).toEqual({ lost: 0, gained: 0, fraction: 0 });
  const other = await place().evaluate({ texts: [text], reference: place().at('b') });
  expect(other.klDivergence!.mean).toBeGreaterThan(0.1);
  expect(other.perplexityRatio).toBeCloseTo(other.perplexity! / other.referencePerplexity!, 12);
});

test('several texts are never pooled', async () => {
  place().writeModel('a');
  const texts = [place().write('one.txt', letters(40, 1)), place().write('two.txt', letters(64, 2))];
  const result = await place().evaluate({ texts });
  expect(result.texts.map(({ text, windows }) => [text, windows])).toEqual([
    [texts[0], 5],
    [texts[1], 8],
  ]);
  expect(result).not.toHaveProperty('perplexity');
  const alone = await place().evaluate({ texts: [texts[1]!] });
  expect(figuresOf(alone).texts[0]).toEqual(figuresOf(result).texts[1]);
});

test('a limit keeps the first ids of each text before windowing', async () => {
  place().writeModel('a');
  const text = letters(200);
  const long = place().write('long.txt', text);
  const cut = place().write('cut.txt', text.slice(0, 45));
  const limited = figuresOf(await place().evaluate({ texts: [long], limitTokens: 45 })).texts[0]!;
  expect(limited).toMatchObject({ tokens: 45, windows: 5, droppedTokens: 5 });
  expect(limited).toEqual({ ...figuresOf(await place().evaluate({ texts: [cut] })).texts[0]!, text: long });
});

test('a beginning that the config asks for stands in front of the first window alone', async () => {
  place().writeModel('a', tokenizerJson([...ALPHABET, '<s>']));
  place().write('a/tokenizer_config.json', '{"add_bos_token": true, "bos_token": "<s>"}');
  const text = place().write('text.txt', letters(39));
  const scorers = fakeScorers({ facts: { vocabularySize: ALPHABET.length + 1 } });
  const result = await place().evaluate({ texts: [text], tokensOut: place().at('tokens') }, scorers);
  expect(result).toMatchObject({ addsBos: true, tokens: 40, windows: 5 });
  const { columns } = readTokenFile(readFileSync(place().at('tokens')));
  expect(columns[0]!['token']!.map((id) => id === ALPHABET.length)).toEqual([true, ...new Array(39).fill(false)]);
});

test('--tokens-out holds what the summary was made of', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const texts = [place().write('one.txt', letters(60, 1)), place().write('two.txt', letters(50, 2))];
  const tokensOut = place().at('out/tokens');
  place().write('out/other', 'x');
  const result = await place().evaluate({ texts, reference: place().at('b'), tokensOut });
  expect(result.tokensFile).toBe(tokensOut);
  const { header, columns } = readTokenFile(readFileSync(tokensOut));
  expect(header).toMatchObject({ model: place().at('a'), context: 8 });
  result.texts.forEach((text, index) => {
    const { nll, kl, flags, rank } = columns[index]!;
    const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(meanOf(nll!)).toBeCloseTo(text.meanNegativeLogLikelihood, 6);
    expect(meanOf(kl!)).toBeCloseTo(text.klDivergence!.mean, 6);
    expect(meanOf(flags!.map((bits) => (bits >> 2) & 1))).toBeCloseTo(text.top1Agreement!, 12);
    expect(meanOf(flags!.map((bits) => (bits & 1) ^ ((bits >> 1) & 1)))).toBeCloseTo(text.flips!.fraction, 12);
    expect(rank!.map((value) => value === 0)).toEqual(flags!.map((bits) => (bits & 1) === 1));
  });
  expect(readdirSync(place().at('out')).sort()).toEqual(['other', 'tokens']);
  const again = { texts, tokensOut };
  expect(await errorOf(() => place().evaluate(again))).toMatchObject({ code: 'JOB_OUTPUT_EXISTS' });
  await place().evaluate({ ...again, force: true });
  expect(readTokenFile(readFileSync(tokensOut)).header).toMatchObject({ reference: null });
});

test('choices are asked by log-likelihood, of the reference too', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const questions = Array.from({ length: 12 }, (_, index) => ({
    context: letters(4 + index, index).trim() + 'x',
    choices: [' abc', ' z', ' longer choice', ' q'].slice(0, 2 + (index % 3)),
    answer: index % 2,
  }));
  const choices = place().write('q.jsonl', questions.map((question) => JSON.stringify(question)).join('\n'));
  const result = await place().evaluate({ choices, reference: place().at('b') });
  expect(result).toMatchObject({ questions: 12, texts: [] });
  expect(result.choices).toMatchObject({ file: choices, questions: 12, accuracy: result.accuracy });
  expect(result.accuracy! * 12).toBeCloseTo(Math.round(result.accuracy! * 12), 10);
  expect(result.choices!.referenceAccuracy).toBe(
    (await place().evaluate({ choices, model: place().at('b') })).accuracy,
  );
  for (const batch of [1, 5, 100]) {
    expect((await place().evaluate({ choices }, fakeScorers({ batch }))).accuracyNormalized).toBe(
      result.accuracyNormalized,
    );
  }
});

test('the noise floor is the divergence of the reference from itself with its weights moved', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const text = place().write('text.txt', letters(100));
  const scorers = fakeScorers();
  const asked = { texts: [text], reference: place().at('b'), noiseFloorSeed: 7 };
  const result = await place().evaluate(asked, scorers);
  expect(result.noiseFloor).toMatchObject({ seed: 7 });
  expect(result.noiseFloor!.mean).toBeGreaterThan(0);
  expect(scorers.opened).toMatchObject([
    { model: place().at('a'), reference: place().at('b'), noiseSeed: null },
    { model: place().at('b'), reference: place().at('b'), noiseSeed: 7 },
  ]);
  expect(scorers.closed).toBe(2);
  const [kept] = figuresOf(await place().evaluate({ ...asked, noiseFloorSeed: null })).texts;
  const { noiseFloor: _, ...others } = figuresOf(result).texts[0]!;
  expect(others).toEqual(kept);
});

test('progress is told in tokens and comes to its end', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(83));
  await place().evaluate({ texts: [text] });
  const stages = place().events.flatMap((event) => (event.event === 'stage' ? [event.stage] : []));
  expect(stages).toEqual(['plan', 'load', 'tokenise', 'evaluate']);
  const last = place()
    .events.filter((event) => event.event === 'progress')
    .at(-1);
  expect(last).toMatchObject({ fraction: 1, doneTokens: 80, totalTokens: 80, etaSeconds: 0 });
});

test('nothing but the journal stays of a run that came to its end', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(83));
  const { runId } = await place().evaluate({ texts: [text] });
  const files = readdirSync(join(place().home, 'runs', runId));
  expect(files.sort()).toEqual(['journal.jsonl', 'log.ndjson']);
  expect(readdirSync(place().home)).toEqual(['runs']);
  expect(existsSync(place().at('a.lathe-partial'))).toBe(false);
});

test('a dry run counts windows and predictions, runs no token and writes nothing', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const text = place().write('text.txt', letters(83));
  const lines = [0, 1].map((answer) => JSON.stringify({ context: 'abc', choices: [' de', ' f'], answer }));
  const choices = place().write('q.jsonl', lines.join('\n'));
  const scorers = fakeScorers({ leastBytes: 1000 });
  const asked = { texts: [text], choices, reference: place().at('b'), tokensOut: place().at('tokens') };
  const plan = await place().plan({ ...asked, memoryLimitBytes: 2000 }, scorers);
  expect(plan).toEqual({
    schema: 1,
    dryRun: true,
    model: place().at('a'),
    reference: place().at('b'),
    context: 8,
    device: 'cpu',
    addsBos: false,
    texts: [{ text, tokens: 83, context: 8, windows: 10, predictions: 70, droppedTokens: 3 }],
    choices: { file: choices, questions: 2, tokens: 2 * (6 + 5) },
    tokensFile: place().at('tokens'),
    memory: { limitBytes: 2000, peakMemoryBytes: 1000, leastMemoryBytes: 1000 },
    notes: [],
  });
  expect(scorers).toMatchObject({ sequences: 0, closed: 1 });
  expect(existsSync(place().home)).toBe(false);
  expect(existsSync(place().at('tokens'))).toBe(false);
  place().write('tokens', 'x');
  expect(await errorOf(() => place().plan(asked))).toMatchObject({ code: 'JOB_OUTPUT_EXISTS' });
});

test('memory is asked for with the longest sequence and what the process has beside the models', async () => {
  place().writeModel('a');
  place().writeModel('b');
  const text = place().write('text.txt', letters(83));
  const choices = place().write('q.jsonl', '{"context": "abcdefghijkl", "choices": [" mn", " o"], "answer": 0}');
  const scorers = fakeScorers();
  const asked = { texts: [text], choices, reference: place().at('b'), memoryLimitBytes: 2 ** 40, noiseFloorSeed: 1 };
  const { memory } = await place().evaluate(asked, scorers);
  expect(memory).toMatchObject({ limitBytes: 2 ** 40 });
  // The text, its noise, the choices.
  expect(scorers.reserved).toHaveLength(3);
  for (const request of scorers.reserved) {
    expect(request).toMatchObject({ length: 15, limitBytes: 2 ** 40, hasNoise: true });
  }
  const { processBytes } = scorers.reserved[0]!;
  expect(processBytes).toBeGreaterThan(256 * 2 ** 20);
  const alone = fakeScorers();
  await place().evaluate({ texts: [text] }, alone);
  expect(alone.reserved[0]).toMatchObject({ length: 8, hasNoise: false });
  expect(alone.reserved[0]!.limitBytes).toBeGreaterThan(2 ** 20);
  expect(alone.reserved[0]!.processBytes).toBeLessThan(processBytes);
});

test('texts that share paragraphs are told so', async () => {
  place().writeModel('a');
  const paragraphs = [1, 2, 3].map((seed) => letters(90, seed).replaceAll('\n', ' '));
  const one = place().write('one.txt', paragraphs.slice(0, 2).join('\n\n'));
  const two = place().write('two.txt', paragraphs.slice(1).join('\n\n'));
  const { notes } = await place().evaluate({ texts: [one, two] });
  expect(notes).toEqual([
    expect.stringMatching(/two\.txt" shares text with ".*one\.txt": 1 paragraph, [45]\d\.\d\d % of it/),
  ]);
  expect((await place().evaluate({ texts: [one] })).notes).toEqual([]);
});

test('evaluations of one queue wait for each other where memory does not suffice for both', async () => {
  place().writeModel('a');
  const text = place().write('text.txt', letters(200));
  const order: string[] = [];
  const pool = new ResourcePool({ threads: 2, memoryBytes: 1.5 * 2 ** 30 });
  const jobs = ['one', 'two'].map((name, rank) => {
    const control = {
      signal: new AbortController().signal,
      rank: () => [rank],
      isPaused: () => false,
      whenGoing: () => Promise.resolve(),
    };
    // Slow enough for the other one to come in between, if it may.
    const onScore = async () => {
      order.push(name);
      await new Promise((proceed) => setTimeout(proceed, 10));
    };
    const scorers = fakeScorers({ leastBytes: 2 ** 30, onScore });
    return place().evaluate({ texts: [text], memoryLimitBytes: 2 ** 31, scheduling: { pool, control } }, scorers);
  });
  await Promise.all(jobs);
  expect(order.length).toBeGreaterThan(10);
  // Whichever asked first.
  expect(order.filter((name, at) => at > 0 && name !== order[at - 1])).toHaveLength(1);
});
