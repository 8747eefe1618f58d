/**
 * How much memory a forward pass takes, and how it shares out what it is given.
 *
 * What the process has beside it (Node, ONNX Runtime, tokenizer, texts, scores) is not counted here.
 */
import {
  attentionTensors,
  embeddingTensors,
  innerMaps,
  mapTensors,
  mlpTensors,
  normTensors,
  type NeededTensor,
} from '../model/architectures/decoder-tensors.ts';
import type { AttentionHalf, DecoderDescription, MlpHalf } from '../model/architectures/decoder-description.ts';

const FLOAT_BYTES = 4;
/** Tensors of a part start at multiples of a cache line. */
const ALIGNED_ELEMENTS = 16;

/** Rows (windows x positions) that one run of a part works on: enough to fill the cores, few enough for their caches. */
const ROWS_PER_RUN = 1024;
/** Rows that one walk over the blocks carries along, at most, when every walk reads the weights again. */
const ROWS_PER_STREAMED_WALK = 16_384;
/** Logits of one call, at most: a large vocabulary's rows stay within the caches' reach and far below the 512 MiB. */
const LOGIT_BYTES = 32 * 1024 * 1024;

/** ONNX Runtime's arena grows by powers of two. */
const ARENA_GROWTH = 2;

/** How a forward pass shares out its memory for windows of one length. */
export interface ForwardPlan {
  /** Windows that one run of a part works on. */
  windowsPerRun: number;
  /** Windows that one call of `hiddenStates` should get. */
  windowsPerWalk: number;
  /** For the weights of the blocks: those that stay, and two of those that every walk reads again. Infinity: all stay. */
  blockWeightBytes: number;
  /** Of the whole pass. Above what it was given where that is less than the least. */
  peakBytes: number;
}

/** What a pass takes at least, its blocks read again in every walk, and with all weights in memory. */
export interface ForwardMemory {
  leastBytes: number;
  fullBytes: number;
}

/** Rows of logits that one call may ask for. */
export function logitRowsOf({ vocabularySize }: DecoderDescription): number {
  return Math.max(1, Math.floor(LOGIT_BYTES / FLOAT_BYTES / vocabularySize));
}

/** Rows that one run of a part works on: whole windows. */
export function rowsPerRun(length: number): number {
  return windowsPerRunOf(length) * length;
}

function windowsPerRunOf(length: number): number {
  return Math.max(1, Math.floor(ROWS_PER_RUN / length));
}

/** What a pass is run on. */
export interface PassShape {
  /** Tokens of a window. */
  length: number;
  threads: number;
}

/** The bounds of a pass over windows of at most so many tokens. */
export function forwardMemory(decoder: DecoderDescription, shape: PassShape): ForwardMemory {
  const sizes = sizesOf(decoder, shape);
  const others = sizes.fixed + sizes.walk(sizes.leastRows) + sizes.logits(sizes.leastRows);
  return { leastBytes: others + sizes.streamedBlocks, fullBytes: others + sizes.blocks };
}

/**
 * Shares out so many bytes for windows of one length: all weights stay if they can; else walks carry as many windows
 * along as pay, and blocks stay with what is left.
 */
export function planForward(decoder: DecoderDescription, memoryBytes: number, shape: PassShape): ForwardPlan {
  const { length } = shape;
  const sizes = sizesOf(decoder, shape);
  const { fixed, blocks, streamedBlocks, leastRows } = sizes;
  const windowsPerRun = windowsPerRunOf(length);
  const peakBytes = fixed + sizes.walk(leastRows) + sizes.logits(leastRows) + blocks;
  if (peakBytes <= memoryBytes) {
    return { windowsPerRun, windowsPerWalk: windowsPerRun, blockWeightBytes: Infinity, peakBytes };
  }
  const fitting = Math.floor((memoryBytes - fixed - sizes.logits(Infinity) - streamedBlocks) / sizes.walk(1));
  const walkRows = Math.max(leastRows, Math.min(fitting, ROWS_PER_STREAMED_WALK));
  const windowsPerWalk = Math.max(windowsPerRun, Math.floor(walkRows / length));
  const others = fixed + sizes.walk(windowsPerWalk * length) + sizes.logits(windowsPerWalk * length);
  const blockWeightBytes = Math.max(streamedBlocks, memoryBytes - others);
  return { windowsPerRun, windowsPerWalk, blockWeightBytes, peakBytes: others + blockWeightBytes };
}

function sizesOf(decoder: DecoderDescription, { length, threads }: PassShape) {
  const { embedding, head, finalNorm, hiddenSize } = decoder;
  const isTied = head.weight === embedding.tokens;
  const edges = bytesOf([...embeddingTensors(decoder), ...normTensors(finalNorm), ...(isTied ? [] : mapTensors(head))]);
  const blocks = decoder.blocks.map(({ attention, mlp }) =>
    bytesOf([...attentionTensors(attention), ...mlpTensors(mlp)]),
  );
  const all = blocks.reduce((sum, bytes) => sum + bytes, 0);
  const leastRows = rowsPerRun(length);
  return {
    fixed: edges + runBytes(decoder, leastRows) + threads * attentionScratchBytes(decoder, length),
    blocks: all,
    streamedBlocks: Math.min(all, 2 * Math.max(...blocks)),
    leastRows,
    /** The two hidden states between which a walk goes to and fro. */
    walk: (rows: number) => 2 * rows * hiddenSize * FLOAT_BYTES,
    logits: (rows: number) => logitBytes(decoder, rows),
  };
}

function bytesOf(tensors: readonly NeededTensor[]): number {
  const elements = tensors.map(({ shape }) => shape.reduce((product, dimension) => product * dimension, 1));
  return elements.reduce((sum, count) => sum + FLOAT_BYTES * ALIGNED_ELEMENTS * Math.ceil(count / ALIGNED_ELEMENTS), 0);
}

/** Intermediate values: every session keeps its own, and blocks of one outline share theirs. */
function runBytes({ blocks, hiddenSize }: DecoderDescription, rows: number): number {
  const sizes = new Map<string, number>();
  for (const { attention, mlp } of blocks) {
    const bytes = rows * (attentionRowBytes(attention) + mlpRowBytes(mlp));
    sizes.set(`${attention.heads} ${attention.keyHeads} ${attention.headSize} ${bytes}`, bytes);
  }
  const edges = 2 * rows * hiddenSize * FLOAT_BYTES;
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, edges);
}

/** What the attention kernel takes for each thread: a window's keys and values of one head, packed in panels. */
function attentionScratchBytes({ blocks }: DecoderDescription, length: number): number {
  const floats = blocks.map(({ attention: { headSize } }) => (length + 2 * PANEL) * (2 * headSize + PANEL));
  return FLOAT_BYTES * Math.max(0, ...floats);
}

/** Lanes of two vectors. */
const PANEL = 32;

function attentionRowBytes({ heads, keyHeads, headSize, output }: AttentionHalf): number {
  const projected = (heads + 2 * keyHeads) * headSize;
  // In the session, and where attention finds them.
  const kept = projected + heads * headSize;
  return FLOAT_BYTES * (kept + ARENA_GROWTH * (2 * projected + heads * headSize + 2 * output.outFeatures));
}

function mlpRowBytes(mlp: MlpHalf): number {
  const inner = innerMaps(mlp).reduce((sum, { outFeatures }) => sum + outFeatures, 0);
  return ARENA_GROWTH * FLOAT_BYTES * (2 * inner + 2 * mlp.down.outFeatures);
}

/** The buffer of the logits; a soft cap is worked out in three steps, of which two are in memory at a time. */
function logitBytes(decoder: DecoderDescription, rows: number): number {
  const bytes = Math.min(rows, logitRowsOf(decoder)) * decoder.vocabularySize * FLOAT_BYTES;
  return decoder.logitSoftCap === null ? bytes : bytes * (1 + 2 * ARENA_GROWTH);
}
