import type { DecoderDescription } from '../model/architectures/decoder-description.ts';

/** Predictions that a probe scores, spread evenly over its windows: the head costs as much as several blocks. */
export const PROBED_ROWS = 256;
const FLOAT_BYTES = 4;

/** Rows of all windows after which the model's prediction is scored, in order. */
export function probedRows(windows: number, length: number): number[] {
  const rows = windows * length;
  const step = Math.max(1, Math.floor(rows / PROBED_ROWS));
  const chosen: number[] = [];
  for (let row = step - 1; row < rows; row += step) chosen.push(row);
  return chosen;
}

/** What probes take beside the forward pass: hidden states, the plain model's logits, the other values. */
export function probeBytes(
  { hiddenSize, vocabularySize }: DecoderDescription,
  { windows, length, largestTensor }: { windows: number; length: number; largestTensor: number },
): number {
  const scored = probedRows(windows, length).length;
  return FLOAT_BYTES * (windows * length * hiddenSize + scored * (2 * hiddenSize + vocabularySize) + largestTensor);
}
