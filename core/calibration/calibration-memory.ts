/** How much memory a calibration takes beside the forward pass: bounds from headers and sizes alone. */
import { ResourceError } from '../errors.ts';
import type { DecoderDescription } from '../model/architectures/decoder-description.ts';
import { innerMaps } from '../model/architectures/decoder-tensors.ts';
import { formatBytes } from '../units.ts';

/** As the kernel says of statistics: for each column, and with the Gram matrix for each pair of them. */
const COLUMN_BYTES = 1024;
const PAIR_BYTES = 8;
const FLOAT_BYTES = 4;

export interface CalibrationShape {
  windows: number;
  /** Tokens of a window. */
  length: number;
  withGram: boolean;
}

/** Hidden states of all windows, and the statistics of one block at a time: the largest. */
export function calibrationBytes({ blocks, hiddenSize }: DecoderDescription, shape: CalibrationShape): number {
  const hidden = FLOAT_BYTES * shape.windows * shape.length * hiddenSize;
  const statistics = blocks.map(({ attention, mlp }) => {
    const widths = [hiddenSize, attention.output.inFeatures, innerMaps(mlp)[0]?.inFeatures ?? 0, mlp.down.inFeatures];
    return widths.reduce((sum, width) => sum + width * (COLUMN_BYTES + (shape.withGram ? PAIR_BYTES * width : 0)), 0);
  });
  // Rows that are not added yet are, for the file, to a copy of the largest matrix.
  const widest = Math.max(
    0,
    ...blocks.map(({ attention, mlp }) => Math.max(attention.output.inFeatures, mlp.down.inFeatures)),
  );
  const copy = shape.withGram ? PAIR_BYTES * Math.max(widest, hiddenSize) ** 2 : 0;
  return hidden + Math.max(0, ...statistics) + copy;
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
