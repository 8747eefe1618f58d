import { innerMaps } from '../model/architectures/decoder-tensors.ts';
import type { AttentionHalf, DecoderDescription, MlpHalf } from '../model/architectures/decoder-description.ts';

const FLOAT_BYTES = 4;

/** Rows (windows x positions) that one run of a part works on: enough to fill the cores, few enough for their caches. */
const ROWS_PER_RUN = 512;
/** Rows that one walk over the blocks carries along when every walk reads the weights again. */
const ROWS_PER_STREAMED_WALK = 16_384;
/** Logits of one call, at most: a large vocabulary's rows stay within the caches' reach and far below the 512 MiB. */
const LOGIT_BYTES = 32 * 1024 * 1024;
/** Of the memory limit, the part that may go to weights once the embedding and the activations have theirs. */
const NODE_AND_RUNTIME_BYTES = 256 * 1024 * 1024;

/** ONNX Runtime's arena grows by powers of two. */
const ARENA_GROWTH = 2;

/** How a forward pass shares out its memory for windows of one length. */
export interface MemoryShares {
  /** Windows that one run of a part works on. */
  windowsPerRun: number;
  /** Windows that one call of `hiddenStates` should get. */
  windowsPerWalk: number;
}

/** Rows of logits that one call may ask for. */
export function logitRowsOf({ vocabularySize }: DecoderDescription): number {
  return Math.max(1, Math.floor(LOGIT_BYTES / FLOAT_BYTES / vocabularySize));
}

/** What a walk over windows of this length takes at once. */
export function memoryShares(length: number, isStreaming: boolean): MemoryShares {
  const windowsPerRun = Math.max(1, Math.floor(ROWS_PER_RUN / length));
  const walkRows = isStreaming ? ROWS_PER_STREAMED_WALK : ROWS_PER_RUN;
  return { windowsPerRun, windowsPerWalk: Math.max(windowsPerRun, Math.floor(walkRows / length)) };
}

/** Bytes left for the weights of the blocks when windows have at most so many tokens. */
export function weightBudget(decoder: DecoderDescription, memoryLimitBytes: number, length: number): number {
  const isTied = decoder.head.weight === decoder.embedding.tokens;
  const edges = (isTied ? 1 : 2) * decoder.vocabularySize * decoder.hiddenSize * FLOAT_BYTES;
  const walk = 2 * Math.max(ROWS_PER_STREAMED_WALK, length) * decoder.hiddenSize * FLOAT_BYTES;
  const { windowsPerRun } = memoryShares(length, true);
  const runs = decoder.blocks.map(({ attention, mlp }) => {
    const scores = ARENA_GROWTH * attention.heads * length * length * FLOAT_BYTES;
    return windowsPerRun * (length * rowBytes(attention, mlp) + scores);
  });
  return memoryLimitBytes - NODE_AND_RUNTIME_BYTES - edges - walk - Math.max(...runs) - LOGIT_BYTES;
}

/** Bytes of intermediate values a row, of the runs of both halves: each half's session keeps its own. */
function rowBytes(attention: AttentionHalf, mlp: MlpHalf): number {
  const { heads, keyHeads, headSize } = attention;
  const projected = (heads + 2 * keyHeads) * headSize;
  const hidden = attention.output.outFeatures;
  const attentionFloats = 2 * projected + 2 * heads * headSize + 2 * hidden;
  const inner = innerMaps(mlp).reduce((sum, { outFeatures }) => sum + outFeatures, 0);
  return FLOAT_BYTES * (attentionFloats + 2 * inner + 2 * hidden);
}
