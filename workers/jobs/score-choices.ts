import type { Sequence } from '../../core/evaluation/score-sequences.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import type { WindowTools } from './score-windows.ts';

export interface ChoiceLikelihoods {
  /** Of every choice of every question, in order. */
  model: number[];
  reference: number[] | null;
}

/**
 * Scores the choices of all questions: sums of their tokens' log-likelihoods, in nats.
 *
 * Sequences of about equal length are run together, so that little is filled up. Batches that the journal tells of are
 * not run again.
 * @param sequences of every choice of every question, in order
 */
export async function scoreChoices(
  sequences: readonly Sequence[],
  hasReference: boolean,
  { begun, scorer, progress, signal }: WindowTools,
): Promise<ChoiceLikelihoods> {
  const order = [...sequences.keys()].sort((a, b) => lengthAt(sequences, a) - lengthAt(sequences, b) || a - b);
  const model = new Array<number>(sequences.length).fill(NaN);
  const reference = hasReference ? new Array<number>(sequences.length).fill(NaN) : null;
  function put(from: number, sums: readonly number[], referenceSums: readonly number[] | null): void {
    sums.forEach((sum, index) => {
      const place = order[from + index] ?? 0;
      model[place] = sum;
      if (reference && referenceSums) reference[place] = referenceSums[index] ?? NaN;
    });
  }
  let from = 0;
  for (const line of begun.lines) {
    if (line.type !== 'choices' || line.from !== from) continue;
    put(from, line.logLikelihoods, line.referenceLogLikelihoods);
    from += line.logLikelihoods.length;
  }
  progress.skip(tokensOf(order.slice(0, from), sequences));
  while (from < order.length) {
    stopIfAsked(signal);
    const open = await scorer();
    const batch = await batchFrom(from, order, sequences, (length) => open.batchSize(length));
    const chosen = batch.flatMap((index) => sequences[index] ?? []);
    const { nll, referenceNll } = await open.score(chosen, signal);
    const logLikelihoods = sumsOf(nll, chosen);
    const referenceLogLikelihoods = referenceNll && sumsOf(referenceNll, chosen);
    put(from, logLikelihoods, referenceLogLikelihoods);
    await begun.journal.append({ type: 'choices', from, logLikelihoods, referenceLogLikelihoods });
    progress.add(tokensOf(batch, sequences));
    from += batch.length;
  }
  return { model, reference };
}

/** As many as fit beside the longest of them. */
async function batchFrom(
  from: number,
  order: readonly number[],
  sequences: readonly Sequence[],
  batchSize: (length: number) => Promise<number>,
): Promise<number[]> {
  const first = await batchSize(lengthAt(sequences, order[from] ?? 0));
  const last = order[Math.min(order.length, from + first) - 1] ?? 0;
  return order.slice(from, from + Math.min(first, await batchSize(lengthAt(sequences, last))));
}

function lengthAt(sequences: readonly Sequence[], index: number): number {
  return sequences[index]?.ids.length ?? 0;
}

function tokensOf(indices: readonly number[], sequences: readonly Sequence[]): number {
  return indices.reduce((sum, index) => sum + lengthAt(sequences, index), 0);
}

function sumsOf(nll: Float64Array, sequences: readonly Sequence[]): number[] {
  let at = 0;
  return sequences.map(({ from, to }) => {
    const sum = nll.subarray(at, at + to - from).reduce((total, value) => total + value, 0);
    at += to - from;
    return -sum;
  });
}
