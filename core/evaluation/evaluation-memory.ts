/** How much memory an evaluation takes: bounds of the whole process, from headers and sizes alone. */
import type { EvaluationMemory } from '../contract/evaluation-result.ts';
import { ResourceError } from '../errors.ts';
import { forwardMemory, planForward } from '../forward/forward-memory.ts';
import type { DecoderDescription } from '../model/architectures/decoder-description.ts';
import { formatBytes } from '../units.ts';

/**
 * Node with its worker thread, ONNX Runtime with its threads, the program, a small tokenizer: 135 MiB measured. And
 * buffers that nobody uses any more: ONNX Runtime's binding copies every output once more, and V8 lets up to 64 MiB of
 * such copies lie, and the last one.
 */
export const PROCESS_BYTES = 256 << 20;
/** A tokenizer, parsed, for each byte of its file (measured on files of 2 to 33 MB). */
const TOKENIZER_FACTOR = 10;
/** While a text is turned into tokens, for each of its bytes: 9.5 measured. */
const TEXT_FACTOR = 12;
/** Ids, scores and what is summed up of them, for each token: 34 measured; with a reference half as much again. */
const TOKEN_BYTES = 48;
const REFERENCE_TOKEN_BYTES = 24;
/** A view of the ids. */
const WINDOW_BYTES = 256;

/** What an evaluation has beside its forward passes. */
export interface EvaluationContents {
  /** Of the files of all tokenizers. */
  tokenizerBytes: number;
  /** Of the largest text. */
  textBytes: number;
  /** Of all texts and choices. */
  tokens: number;
  /** Windows and choices. */
  sequences: number;
  hasReference: boolean;
  /** Native memory of the kernels' calls. */
  kernelBytes: number;
}

/** Bytes of the process that do not depend on the models. */
export function contentBytes(contents: EvaluationContents): number {
  const { tokenizerBytes, textBytes, tokens, sequences, hasReference, kernelBytes } = contents;
  const tokenBytes = TOKEN_BYTES + (hasReference ? REFERENCE_TOKEN_BYTES : 0);
  const scored = kernelBytes + tokens * tokenBytes + sequences * WINDOW_BYTES;
  // Texts are gone before a model is run.
  return PROCESS_BYTES + TOKENIZER_FACTOR * tokenizerBytes + Math.max(scored, TEXT_FACTOR * textBytes);
}

/** What forward passes are to be held to. */
export interface MemoryShare {
  /** Tokens of the longest sequence. */
  length: number;
  /** What the process has beside the forward passes. */
  processBytes: number;
  /** Of the whole process. */
  limitBytes: number;
  threads: number;
}

/**
 * Shares a limit out between the forward passes that run beside each other.
 *
 * @returns the bytes that each pass may take, and the bounds of the process
 */
export function shareMemory(
  passes: readonly DecoderDescription[],
  { length, processBytes, limitBytes, threads }: MemoryShare,
): { shares: number[]; memory: EvaluationMemory } {
  const bounds = passes.map((pass) => forwardMemory(pass, { length, threads }));
  const least = bounds.reduce((sum, { leastBytes }) => sum + leastBytes, 0);
  const wanted = bounds.reduce((sum, { leastBytes, fullBytes }) => sum + fullBytes - leastBytes, 0);
  const spare = Math.max(0, limitBytes - processBytes - least);
  const shares = bounds.map(({ leastBytes, fullBytes }) => {
    const part = wanted === 0 ? 0 : spare * ((fullBytes - leastBytes) / wanted);
    return leastBytes + part;
  });
  const peak = passes.reduce(
    (sum, pass, index) => sum + planForward(pass, shares[index] ?? 0, { length, threads }).peakBytes,
    0,
  );
  const leastMemoryBytes = processBytes + least;
  return { shares, memory: { limitBytes, peakMemoryBytes: processBytes + peak, leastMemoryBytes } };
}

/** Bounds that hold for two parts of an evaluation, one after the other. */
export function largerMemory(one: EvaluationMemory, other: EvaluationMemory): EvaluationMemory {
  return {
    limitBytes: one.limitBytes,
    peakMemoryBytes: Math.max(one.peakMemoryBytes, other.peakMemoryBytes),
    leastMemoryBytes: Math.max(one.leastMemoryBytes, other.leastMemoryBytes),
  };
}

/**
 * Refuses an evaluation that would break its limit.
 *
 * @param isAsked whether the user set the limit; else it comes from what is free
 * @throws ResourceError RESOURCE_MEMORY_LIMIT where even reading the weights block by block is too much
 */
export function requireMemory({ limitBytes, leastMemoryBytes }: EvaluationMemory, isAsked: boolean): void {
  if (leastMemoryBytes <= limitBytes) return;
  const least = `${Math.ceil(leastMemoryBytes / (1 << 20))}MiB`;
  throw new ResourceError({
    code: 'RESOURCE_MEMORY_LIMIT',
    what: `${isAsked ? 'The memory limit is' : 'Three quarters of the free memory are'} ${formatBytes(limitBytes)}, but this evaluation takes up to ${formatBytes(leastMemoryBytes)} even when it reads the weights block by block.`,
    whatToDo: isAsked
      ? `Set --memory-limit to ${least} or more, or evaluate with a smaller --context.`
      : `Close other programs, or set --memory-limit to ${least} or more.`,
    retryable: !isAsked,
  });
}
