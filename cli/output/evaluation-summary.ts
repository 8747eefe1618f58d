import type {
  EvaluatedText,
  EvaluateResult,
  EvaluationMemory,
  EvaluationPlan,
} from '../../core/contract/evaluation-result.ts';
import { formatBytes, formatCount, formatFraction, formatSeconds } from '../../core/units.ts';
import { escapeLine } from './escape-text.ts';
import { formatPairs, formatTable, type Column } from './text-table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'text', align: 'left' },
  { title: 'windows', align: 'right' },
  { title: 'predictions', align: 'right' },
  { title: 'nats per token', align: 'right' },
  { title: 'perplexity', align: 'right' },
];

const COMPARISON_COLUMNS: readonly Column[] = [
  { title: 'reference', align: 'right' },
  { title: 'ratio', align: 'right' },
  { title: 'KL, nats per token', align: 'right' },
  { title: 'median', align: 'right' },
  { title: 'p99', align: 'right' },
  { title: 'same first choice', align: 'right' },
];

const PLAN_COLUMNS: readonly Column[] = [
  { title: 'text', align: 'left' },
  { title: 'tokens', align: 'right' },
  { title: 'windows', align: 'right' },
  { title: 'predictions', align: 'right' },
  { title: 'dropped at the end', align: 'right' },
];

/** An evaluation, for people: a row a text, then what ran. */
export function summarizeEvaluation(result: EvaluateResult): string[] {
  const { texts, choices, reference, runId, resumed, tokensFile, seconds, cpuSeconds, peakRssBytes } = result;
  const columns = reference === null ? COLUMNS : [...COLUMNS, ...COMPARISON_COLUMNS];
  const table = texts.length === 0 ? [] : [...formatTable(columns, texts.map(textCells)), ''];
  const pairs = askedPairs(result);
  for (const { text, noiseFloor } of texts) {
    if (noiseFloor === undefined) continue;
    const { mean, p99 } = noiseFloor;
    pairs.push(['Noise floor', `KL ${formatNats(mean)}, p99 ${formatNats(p99)} (${escapeLine(baseName(text))})`]);
  }
  if (choices !== null) {
    const { accuracy, accuracyNormalized, questions, referenceAccuracy } = choices;
    const against = referenceAccuracy === undefined ? '' : `; the reference ${formatFraction(referenceAccuracy)}`;
    pairs.push(['Questions', `${formatCount(questions)} (${escapeLine(baseName(choices.file))})`]);
    pairs.push(['Right', `${formatFraction(accuracy)}, by length ${formatFraction(accuracyNormalized)}${against}`]);
  }
  const rate = describeRates(texts.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []));
  pairs.push(['Run', `${escapeLine(runId)}${resumed ? ', resumed' : ''}`]);
  if (tokensFile !== null) pairs.push(['Tokens', escapeLine(tokensFile)]);
  pairs.push(['Time', `${formatSeconds(seconds)} (processor ${formatSeconds(cpuSeconds)})${rate}`]);
  pairs.push(['Peak memory', `${formatBytes(peakRssBytes)} of ${foreseen(result.memory)}`]);
  return [...table, ...formatPairs(pairs)];
}

/** What an evaluation would do, for people. */
export function summarizeEvaluationPlan(plan: EvaluationPlan): string[] {
  const { texts, choices, tokensFile, memory } = plan;
  const rows = texts.map(({ text, tokens, windows, predictions, droppedTokens }) => {
    return [escapeLine(baseName(text)), ...[tokens, windows, predictions, droppedTokens].map(formatCount)];
  });
  const table = texts.length === 0 ? [] : [...formatTable(PLAN_COLUMNS, rows), ''];
  const pairs = askedPairs(plan);
  if (choices !== null) {
    const { file, questions, tokens } = choices;
    pairs.push([
      'Questions',
      `${formatCount(questions)}, ${formatCount(tokens)} tokens with each of their choices (${escapeLine(baseName(file))})`,
    ]);
  }
  if (tokensFile !== null) pairs.push(['Tokens', escapeLine(tokensFile)]);
  pairs.push(['Peak memory', foreseen(memory)]);
  pairs.push(['At least', `${formatBytes(memory.leastMemoryBytes)}, weights read again and again`]);
  return ['A dry run: no token was run and nothing was written.', '', ...table, ...formatPairs(pairs)];
}

function askedPairs({
  model,
  reference,
  texts,
  context,
  addsBos,
}: EvaluateResult | EvaluationPlan): [string, string][] {
  const pairs: [string, string][] = [['Model', escapeLine(model)]];
  if (reference !== null) pairs.push(['Reference', escapeLine(reference)]);
  if (texts.length === 0) return pairs;
  const beginning = addsBos ? ', a beginning token in front of the first' : '';
  pairs.push(['Windows', `of ${formatCount(context)} tokens, each scored from its 2nd to its last${beginning}`]);
  return pairs;
}

function foreseen({ peakMemoryBytes, limitBytes }: EvaluationMemory): string {
  return `${formatBytes(peakMemoryBytes)} at most (limit ${formatBytes(limitBytes)})`;
}

/** Of the slowest and the fastest text. */
function describeRates(rates: readonly number[]): string {
  if (rates.length === 0) return '';
  const ends = new Set([Math.min(...rates), Math.max(...rates)].map((rate) => formatCount(Math.round(rate))));
  return `, ${[...ends].join(' to ')} tokens/s`;
}

function textCells(text: EvaluatedText): string[] {
  const { windows, predictions, meanNegativeLogLikelihood, standardError, perplexity } = text;
  const cells = [
    escapeLine(baseName(text.text)),
    formatCount(windows),
    formatCount(predictions),
    `${meanNegativeLogLikelihood.toFixed(6)}${formatError(standardError)}`,
    perplexity.toFixed(4),
  ];
  const { referencePerplexity, perplexityRatio, klDivergence, top1Agreement } = text;
  if (klDivergence === undefined) return cells;
  return [
    ...cells,
    referencePerplexity?.toFixed(4) ?? '-',
    perplexityRatio?.toFixed(5) ?? '-',
    `${formatNats(klDivergence.mean)}${formatError(klDivergence.standardError)}`,
    formatNats(klDivergence.median),
    formatNats(klDivergence.p99),
    top1Agreement === undefined ? '-' : formatFraction(top1Agreement),
  ];
}

/** Enough digits for the smallest divergences, and none that say nothing. */
function formatNats(value: number): string {
  return value === 0 || value >= 0.01 ? value.toFixed(5) : value.toPrecision(3);
}

function formatError(standardError: number | null): string {
  return standardError === null ? '' : ` ± ${standardError.toPrecision(2)}`;
}

function baseName(path: string): string {
  return path.replace(/^.*[/\\](?=[^/\\])/, '');
}
