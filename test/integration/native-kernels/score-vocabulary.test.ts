import { expect, test } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import { kernels } from './kernels-fixture.ts';

const VOCABULARY = 1234;

/** Logits between -8 and 8, by a fixed rule. */
function logits(rows: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: rows * VOCABULARY }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state / 2 ** 28 - 8;
  });
}

/** Of one row, in plain double precision. */
function logProbabilities(row: Float32Array): number[] {
  const sum = row.reduce((total, value) => total + Math.exp(value), 0);
  return [...row].map((value) => value - Math.log(sum));
}

test('scores rows as plain arithmetic does, at any thread count', () => {
  const rows = 5;
  const [model, reference] = [logits(rows, 1), logits(rows, 2)];
  const targets = Int32Array.from({ length: rows }, (_, row) => 300 * row);
  const scores = kernels.scoreVocabulary(model, reference, VOCABULARY, targets, 2);
  for (let row = 0; row < rows; row++) {
    const ofRow = model.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
    const wanted = reference.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
    const [q, p] = [logProbabilities(ofRow), logProbabilities(wanted)];
    const target = targets[row]!;
    const divergence = p.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - q[token]!), 0);
    expect(scores.nll[row]).toBeCloseTo(-q[target]!, 6);
    expect(scores.kl![row]).toBeCloseTo(divergence, 5);
    expect(scores.referenceNll![row]).toBeCloseTo(-p[target]!, 6);
    expect(scores.argmax[row]).toBe(ofRow.indexOf(Math.max(...ofRow)));
    expect(scores.referenceArgmax![row]).toBe(wanted.indexOf(Math.max(...wanted)));
    expect(scores.rank[row]).toBe([...ofRow].filter((value) => value > ofRow[target]!).length);
  }
  expect(kernels.scoreVocabulary(model, reference, VOCABULARY, targets, 1)).toEqual(scores);
});

test('says nothing of a reference that is not there', () => {
  const scores = kernels.scoreVocabulary(logits(2, 3), null, VOCABULARY, Int32Array.of(0, 1), 1);
  expect(scores).toMatchObject({ kl: null, referenceNll: null, referenceArgmax: null });
  expect(scores.nll).toHaveLength(2);
});

test('names the row and the token of a logit that is no number', async () => {
  const model = logits(3, 4);
  model[2 * VOCABULARY + 77] = NaN;
  const error = await errorOf(() => kernels.scoreVocabulary(model, null, VOCABULARY, Int32Array.of(0, 1, 2), 1));
  expect(error).toMatchObject({
    code: 'NUMERICS_NOT_FINITE',
    what: "The model's logit of token 77 in row 2 is NaN.",
  });
});

test('takes targets outside the vocabulary and lengths that disagree for faults of its caller', async () => {
  for (const [targets, vocabulary] of [
    [[VOCABULARY], VOCABULARY],
    [[-1], VOCABULARY],
    [[0], VOCABULARY - 1],
    [[0, 1], VOCABULARY],
  ] as const) {
    const error = await errorOf(() =>
      kernels.scoreVocabulary(logits(1, 5), null, vocabulary, Int32Array.from(targets), 1),
    );
    expect(error).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT' });
  }
});
