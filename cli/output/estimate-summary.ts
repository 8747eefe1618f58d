import type { EstimateResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount, formatFraction, formatSeconds } from '../../core/units.ts';
import { escapeLine } from './escape-text.ts';
import { formatPairs } from './text-table.ts';

/** What a recipe would make of a model, for people. */
export function summarizeEstimate(estimate: EstimateResult): string[] {
  const { storedBytes, storedBytesLow, storedBytesHigh, sourceStoredBytes, secondsLow, secondsHigh } = estimate;
  const range =
    storedBytesLow === storedBytesHigh
      ? 'exact'
      : `${formatBytes(storedBytesLow)} to ${formatBytes(storedBytesHigh)}, as the weights turn out`;
  const share = sourceStoredBytes === 0 ? '' : `, ${formatFraction(storedBytes / sourceStoredBytes)}`;
  const lines = formatPairs([
    ['Weights', formatCount(estimate.parameters)],
    ['Stored now', formatBytes(sourceStoredBytes)],
    ['Stored then', `${formatBytes(storedBytes)}${share} (${range})`],
    ['Bits per weight', estimate.bitsPerWeight.toFixed(2)],
    ['Peak memory', formatBytes(estimate.peakMemoryBytes)],
    ['Time', `${formatSeconds(secondsLow)} to ${formatSeconds(secondsHigh)}`],
    ['To evaluate', describeEvaluation(estimate.evaluation)],
    ['Would run', estimate.wouldFail ? 'no: it would stop before it writes anything' : 'yes'],
  ]);
  if (estimate.problems.length === 0) return lines;
  const problems = estimate.problems.map(
    ({ message, blocking }) => `  ${blocking ? 'stops it: ' : ''}${escapeLine(message)}`,
  );
  return [...lines, '', 'Problems:', ...problems];
}

function describeEvaluation(evaluation: EstimateResult['evaluation']): string {
  if (evaluation.problem !== null) return `not possible: ${escapeLine(evaluation.problem)}`;
  const { context, peakMemoryBytes, leastMemoryBytes } = evaluation;
  const least = `${formatBytes(leastMemoryBytes)} at least`;
  return `${formatBytes(peakMemoryBytes)} of memory at most, ${least}, in windows of ${context} tokens`;
}
