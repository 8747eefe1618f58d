import type { ComparisonSummary, DivergenceSummary, ScoreSummary } from '../contract/evaluation-result.ts';
import type { VocabularyScores } from '../kernels/kernels.ts';

/**
 * Sums scores up, in double precision and in the order of the text, so that the same scores give the same bits.
 *
 * @param scores `targets.length` entries: windows one after the other, each of the same number of predictions
 */
export function summarizeScores(scores: VocabularyScores, targets: Int32Array, windows: number): ScoreSummary {
  const means = windowMeans(scores.nll, windows);
  const meanNegativeLogLikelihood = meanOf(means);
  return {
    windows,
    predictions: targets.length,
    meanNegativeLogLikelihood,
    perplexity: Math.exp(meanNegativeLogLikelihood),
    standardError: standardErrorOf(means),
    top1Accuracy: countEqual(scores.argmax, targets) / targets.length,
  };
}

/** The comparison with the reference; null where the scores have none. */
export function compareScores(
  scores: VocabularyScores,
  targets: Int32Array,
  windows: number,
): ComparisonSummary | null {
  const { nll, argmax, kl, referenceNll, referenceArgmax } = scores;
  if (kl === null || referenceNll === null || referenceArgmax === null) return null;
  const means = windowMeans(nll, windows);
  const referenceMeans = windowMeans(referenceNll, windows);
  const differences = means.map((mean, window) => mean - (referenceMeans[window] ?? 0));
  const referenceMeanNegativeLogLikelihood = meanOf(referenceMeans);
  const difference = meanOf(means) - referenceMeanNegativeLogLikelihood;
  return {
    referenceMeanNegativeLogLikelihood,
    referencePerplexity: Math.exp(referenceMeanNegativeLogLikelihood),
    klDivergence: summarizeDivergence(kl, windows),
    top1Agreement: countEqual(argmax, referenceArgmax) / targets.length,
    flips: countFlips(argmax, referenceArgmax, targets),
    perplexityRatio: Math.exp(difference),
    nllDifference: { mean: difference, standardError: standardErrorOf(differences) },
  };
}

/** Mean and quantiles over all predictions. */
export function summarizeDivergence(kl: Float64Array, windows: number): DivergenceSummary {
  const means = windowMeans(kl, windows);
  const sorted = Float64Array.from(kl).sort();
  return {
    mean: meanOf(means),
    median: quantileOf(sorted, 0.5),
    p90: quantileOf(sorted, 0.9),
    p99: quantileOf(sorted, 0.99),
    max: sorted[sorted.length - 1] ?? 0,
    standardError: standardErrorOf(means),
  };
}

/** All windows have as many predictions, so that the mean of their means is the mean over all predictions. */
function windowMeans(values: Float64Array, windows: number): number[] {
  const size = values.length / windows;
  return Array.from({ length: windows }, (_, window) => {
    let sum = 0;
    for (let index = window * size; index < (window + 1) * size; index++) sum += values[index] ?? 0;
    return sum / size;
  });
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of the mean of independent values: their standard deviation (n - 1) over the root of their number; null for one. */
function standardErrorOf(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

/** Between the two nearest values, in proportion: the usual definition (R's type 7, NumPy's `linear`). */
function quantileOf(sorted: Float64Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = Math.floor(place);
  const [low = 0, high = low] = sorted.subarray(below, below + 2);
  return low + (place - below) * (high - low);
}

function countEqual(a: Int32Array, b: Int32Array): number {
  let count = 0;
  a.forEach((token, index) => {
    if (token === b[index]) count++;
  });
  return count;
}

function countFlips(argmax: Int32Array, referenceArgmax: Int32Array, targets: Int32Array): ComparisonSummary['flips'] {
  let [lost, gained] = [0, 0];
  targets.forEach((target, index) => {
    const isRight = argmax[index] === target;
    const wasRight = referenceArgmax[index] === target;
    if (wasRight && !isRight) lost++;
    if (isRight && !wasRight) gained++;
  });
  return { lost, gained, fraction: (lost + gained) / targets.length };
}
