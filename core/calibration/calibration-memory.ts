/** How much memory a calibration takes beside the forward pass: bounds from headers and sizes alone. */
import { ResourceError } from '../errors.ts';
import { rowsPerRun } from '../forward/forward-memory.ts';
import type { DecoderBlock, DecoderDescription } from '../model/architectures/decoder-description.ts';
import { innerMaps } from '../model/architectures/decoder-tensors.ts';
import { formatBytes } from '../units.ts';

/** Of statistics, for each column: rows that wait for their group (1 KiB), sums, and what is told of them. */
const COLUMN_BYTES = 1100;
/** And with the Gram matrix, for each pair of columns. */
const PAIR_BYTES = 8;
/** Sums, squares and greatest magnitude, and once more while they are handed on; of all blocks, for the answer. */
const KEPT_COLUMN_BYTES = 40;
const FLOAT_BYTES = 4;
/** Where an input is heard, and the copy that ONNX Runtime's binding makes of every output. */
const TAP_COPIES = 2;

export interface CalibrationShape {
  windows: number;
  /** Tokens of a window. */
  length: number;
  withGram: boolean;
}

/** Hidden states of all windows, the inputs that are heard in one run, and the statistics of one block: the largest. */
export function calibrationBytes({ blocks, hiddenSize }: DecoderDescription, shape: CalibrationShape): number {
  const hidden = FLOAT_BYTES * shape.windows * shape.length * hiddenSize;
  const widths = blocks.map((block) => inputWidths(block, hiddenSize));
  const statistics = widths.map((ofBlock) =>
    sumOf(ofBlock.map((width) => width * (COLUMN_BYTES + (shape.withGram ? PAIR_BYTES * width : 0)))),
  );
  const kept = KEPT_COLUMN_BYTES * sumOf(widths.map(sumOf));
  return hidden + tappedBytes(widths, shape.length) + Math.max(0, ...statistics) + kept;
}

/** Buffers are shared by the blocks: each is as large as the widest of its inputs. */
function tappedBytes(widths: readonly number[][], length: number): number {
  const places = widths[0]?.map((_, place) => Math.max(...widths.map((ofBlock) => ofBlock[place] ?? 0))) ?? [];
  return TAP_COPIES * FLOAT_BYTES * rowsPerRun(length) * sumOf(places);
}

/** Bytes of the Gram matrices of each block's inputs as they are kept: f32. */
export function gramBytesOf({ blocks, hiddenSize }: DecoderDescription): number[][] {
  return blocks.map((block) => inputWidths(block, hiddenSize).map((width) => FLOAT_BYTES * width * width));
}

/** Of projections, attention's output map, the MLP's inner maps and its output map. */
function inputWidths({ attention, mlp }: DecoderBlock, hiddenSize: number): number[] {
  return [hiddenSize, attention.output.inFeatures, innerMaps(mlp)[0]?.inFeatures ?? 0, mlp.down.inFeatures];
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/**
 * Refuses a calibration that would break its limit.
 *
 * @param isAsked whether the user set the limit; else it comes from what is free
 * @throws ResourceError RESOURCE_MEMORY_LIMIT
 */
export function requireCalibrationMemory(leastBytes: number, limitBytes: number, isAsked: boolean): void {
  if (leastBytes <= limitBytes) return;
  const whose = isAsked ? 'The memory limit is' : 'Three quarters of the free memory are';
  const least = `${Math.ceil(leastBytes / (1 << 20))}MiB`;
  throw new ResourceError({
    code: 'RESOURCE_MEMORY_LIMIT',
    what: `${whose} ${formatBytes(limitBytes)}, but this calibration takes up to ${formatBytes(leastBytes)}.`,
    whatToDo: `Set --memory-limit to ${least} or more, or write fewer --sequences${isAsked ? '' : ', or close other programs'}.`,
    retryable: !isAsked,
  });
}
