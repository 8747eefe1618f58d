import type { InspectResult } from '../../core/contract/results.ts';
import { formatBytes, formatFraction } from '../../core/units.ts';

/** `13.3 MiB of BF16; would be 9.0 MiB lossless (67.6 %) …`, as far as it is known. */
export function losslessSentence(inspected: InspectResult): string {
  const { storedBytes, losslessEstimate, format, tensors } = inspected;
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))];
  const [only] = dtypes;
  const what = dtypes.length === 1 && only !== undefined ? only : `${format} in ${dtypes.length} types`;
  const now = `${formatBytes(storedBytes)} of ${what}`;
  if (losslessEstimate === undefined) return `${now}. Read the weights to see what it would be lossless.`;
  const { splitPlaneBytes, dfloat11Bytes } = losslessEstimate;
  const size = (bytes: number) => `${formatBytes(bytes)} (${formatFraction(bytes / storedBytes)})`;
  const other = dfloat11Bytes === null ? '' : `, ${size(dfloat11Bytes)} as DFloat11`;
  return `${now}, would be ${size(splitPlaneBytes)} lossless as split-plane${other}.`;
}
