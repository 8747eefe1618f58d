import { NumericsError, WorkbenchError } from '../errors.ts';
import type { ForwardPass } from '../forward/forward-pass.ts';
import type { Kernels, VocabularyScores } from '../kernels/kernels.ts';

/** Logits of both models together never take more than this, whatever the vocabulary. */
export const MAX_LOGITS_BYTES = 512 << 20;

/** Token ids, of which those at `from` (1 or more) up to before `to` are predicted from what stands before them. */
export interface Sequence {
  ids: Int32Array;
  from: number;
  to: number;
}

export interface ScoringParts {
  model: ForwardPass;
  /** Of the same vocabulary; null: the model alone. */
  reference: ForwardPass | null;
  kernels: Pick<Kernels, 'scoreVocabulary'>;
  threads: number;
  /** Of both models' logits at a time; never above MAX_LOGITS_BYTES. */
  maxLogitsBytes: number;
}

/**
 * Runs sequences through a model, and a reference beside it, and scores every predicted token over the whole vocabulary.
 *
 * Shorter sequences are filled up to the longest with token 0 behind their end, where no causal model sees it.
 * @returns one entry a predicted token, sequence after sequence
 * @throws NumericsError NUMERICS_NOT_FINITE; what the forward passes throw
 * Cost: two forward passes at most; the head in slices, so that logits never take more than `maxLogitsBytes`.
 */
export async function scoreSequences(
  sequences: readonly Sequence[],
  parts: ScoringParts,
  signal: AbortSignal,
): Promise<VocabularyScores> {
  const { model, reference } = parts;
  const windows = fillUp(sequences);
  const targets = targetsOf(sequences);
  const hidden = await predictingStates(model, windows, sequences, signal);
  const referenceHidden = reference && (await predictingStates(reference, windows, sequences, signal));
  const scores = emptyScores(targets.length, reference !== null);
  const step = rowsAtOnce(parts);
  for (let start = 0; start < targets.length; start += step) {
    const rows = Math.min(step, targets.length - start);
    const logits = await sliceLogits(model, hidden, start, rows, signal);
    const wanted = reference && referenceHidden && (await sliceLogits(reference, referenceHidden, start, rows, signal));
    const slice = scoreSlice(parts, logits, wanted, targets.subarray(start, start + rows));
    copyScores(slice, scores, start);
  }
  return scores;
}

/** How many rows of logits are made at a time. */
export function rowsAtOnce({ model, reference, maxLogitsBytes }: ScoringParts): number {
  const rowBytes = 4 * model.vocabularySize * (reference === null ? 1 : 2);
  const fitting = Math.floor(Math.min(maxLogitsBytes, MAX_LOGITS_BYTES) / rowBytes);
  return Math.max(1, Math.min(fitting, model.logitRows(), reference?.logitRows() ?? Infinity));
}

function fillUp(sequences: readonly Sequence[]): Int32Array[] {
  const length = sequences.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
  return sequences.map(({ ids }) => {
    if (ids.length === length) return ids;
    const filled = new Int32Array(length);
    filled.set(ids);
    return filled;
  });
}

function targetsOf(sequences: readonly Sequence[]): Int32Array {
  const targets = new Int32Array(sequences.reduce((count, { from, to }) => count + to - from, 0));
  let at = 0;
  for (const { ids, from, to } of sequences) {
    targets.set(ids.subarray(from, to), at);
    at += to - from;
  }
  return targets;
}

/** The hidden states from which the targets are predicted, moved together at the front of the pass's buffer. */
async function predictingStates(
  pass: ForwardPass,
  windows: readonly Int32Array[],
  sequences: readonly Sequence[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const states = await pass.hiddenStates(windows, signal);
  const { hiddenSize } = pass;
  const length = windows[0]?.length ?? 0;
  let end = 0;
  sequences.forEach(({ from, to }, index) => {
    const first = (index * length + from - 1) * hiddenSize;
    const count = (to - from) * hiddenSize;
    states.copyWithin(end, first, first + count);
    end += count;
  });
  return states.subarray(0, end);
}

function sliceLogits(
  pass: ForwardPass,
  hidden: Float32Array,
  start: number,
  rows: number,
  signal: AbortSignal,
): Promise<Float32Array> {
  return pass.logits(hidden.subarray(start * pass.hiddenSize, (start + rows) * pass.hiddenSize), rows, signal);
}

function scoreSlice(
  { model, kernels, threads }: ScoringParts,
  logits: Float32Array,
  reference: Float32Array | null,
  targets: Int32Array,
): VocabularyScores {
  try {
    return kernels.scoreVocabulary(logits, reference, model.vocabularySize, targets, threads);
  } catch (cause) {
    if (!(cause instanceof WorkbenchError) || cause.code !== 'NUMERICS_NOT_FINITE') throw cause;
    throw new NumericsError({
      code: 'NUMERICS_NOT_FINITE',
      what: `${cause.what.replace(/ in row \d+/, '')} All weights are numbers, so the model's own arithmetic overflows in float32.`,
      whatToDo: 'Evaluate the original model to see whether it does so too.',
      cause,
    });
  }
}

/** Scores of so many tokens, all zero. */
export function emptyScores(count: number, hasReference: boolean): VocabularyScores {
  return {
    nll: new Float64Array(count),
    argmax: new Int32Array(count),
    rank: new Int32Array(count),
    kl: hasReference ? new Float64Array(count) : null,
    referenceNll: hasReference ? new Float64Array(count) : null,
    referenceArgmax: hasReference ? new Int32Array(count) : null,
  };
}

/** Copies scores to a place among others. */
export function copyScores(from: VocabularyScores, to: VocabularyScores, at: number): void {
  to.nll.set(from.nll, at);
  to.argmax.set(from.argmax, at);
  to.rank.set(from.rank, at);
  if (from.kl) to.kl?.set(from.kl, at);
  if (from.referenceNll) to.referenceNll?.set(from.referenceNll, at);
  if (from.referenceArgmax) to.referenceArgmax?.set(from.referenceArgmax, at);
}
