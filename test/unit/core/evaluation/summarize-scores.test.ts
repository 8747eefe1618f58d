import { expect, test } from 'vitest';
import { compareScores, summarizeScores } from '../../../../core/evaluation/summarize-scores.ts';
import type { VocabularyScores } from '../../../../core/kernels/kernels.ts';

/** Two windows of three predictions. */
const targets = Int32Array.of(1, 2, 3, 4, 5, 6);
const scores: VocabularyScores = {
  nll: Float64Array.of(1, 2, 3, 2, 3, 7),
  argmax: Int32Array.of(1, 0, 3, 0, 0, 6),
  rank: Int32Array.of(0, 1, 0, 1, 1, 0),
  kl: Float64Array.of(0.1, 0.5, 0.3, 0.2, 0, 1.3),
  referenceNll: Float64Array.of(1, 1, 1, 1, 3, 5),
  referenceArgmax: Int32Array.of(1, 2, 0, 0, 0, 6),
};

test('perplexity is the exponential of the mean over all predictions, its error that of the windows', () => {
  const summary = summarizeScores(scores, targets, 2);
  expect(summary).toEqual({
    windows: 2,
    predictions: 6,
    meanNegativeLogLikelihood: 3,
    perplexity: Math.exp(3),
    // Means 2 and 4: deviation sqrt(2), over sqrt(2).
    standardError: 1,
    top1Accuracy: 0.5,
  });
});

test('one window has no standard error', () => {
  expect(summarizeScores(scores, targets, 1).standardError).toBeNull();
  const compared = compareScores(scores, targets, 1);
  expect(compared?.klDivergence.standardError).toBeNull();
  expect(compared?.nllDifference.standardError).toBeNull();
});

test('the comparison is paired over windows', () => {
  const compared = compareScores(scores, targets, 2);
  expect(compared).toMatchObject({
    referenceMeanNegativeLogLikelihood: 2,
    referencePerplexity: Math.exp(2),
    perplexityRatio: Math.exp(1),
    // Differences of the windows' means: 2 - 1 and 4 - 3.
    nllDifference: { mean: 1, standardError: 0 },
    top1Agreement: 4 / 6,
    flips: { lost: 1, gained: 1, fraction: 2 / 6 },
  });
});

test('quantiles of the divergence lie between its two nearest values in proportion', () => {
  // Sorted: 0, 0.1, 0.2, 0.3, 0.5, 1.3.
  const { klDivergence } = compareScores(scores, targets, 2)!;
  expect(klDivergence.mean).toBeCloseTo(0.4, 14);
  expect(klDivergence.median).toBeCloseTo(0.25, 14);
  expect(klDivergence.p90).toBeCloseTo(0.9, 14);
  expect(klDivergence.p99).toBeCloseTo(1.26, 14);
  expect(klDivergence.max).toBe(1.3);
  // Means 0.3 and 0.5: deviation 0.1 sqrt(2), over sqrt(2).
  expect(klDivergence.standardError).toBeCloseTo(0.1, 14);
});

test('without a reference there is nothing to compare', () => {
  const alone = { ...scores, kl: null, referenceNll: null, referenceArgmax: null };
  expect(compareScores(alone, targets, 2)).toBeNull();
});

test('sums keep what single precision would lose', () => {
  const count = 200_000;
  const nll = Float64Array.from({ length: count }, (_, index) => 3 + (index % 2 === 0 ? 1e-7 : -1e-7));
  const many = { ...scores, nll, argmax: new Int32Array(count) };
  const summary = summarizeScores(many, new Int32Array(count), 100);
  expect(Math.abs(summary.meanNegativeLogLikelihood - 3)).toBeLessThan(1e-12);
});
