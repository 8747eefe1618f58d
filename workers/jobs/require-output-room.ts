import { ResourceError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { formatBytes } from '../../core/units.ts';
import { freeDiskBytes } from '../engine/free-disk.ts';
import type { Compression } from './compression.ts';
import type { QuantizableModel } from './open-source.ts';

/** Of a model's bytes, what a lossless codec leaves of it at the very least. */
const LEAST_LOSSLESS_SHARE = 0.5;

/**
 * Refuses an output that the disk cannot have room for: an old output of the same place stays until the new one is whole.
 *
 * @param output absolute
 * @throws ResourceError RESOURCE_DISK_FULL
 */
export async function requireOutputRoom(
  output: string,
  model: QuantizableModel,
  { storedBytes }: Pick<Compression, 'storedBytes'>,
  kernels: Pick<Kernels, 'freeDiskBytes'>,
): Promise<void> {
  const source = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const least = storedBytes === null ? Math.floor(LEAST_LOSSLESS_SHARE * source) : storedBytes.low;
  const free = await freeDiskBytes(output, kernels);
  if (free === null || free >= least) return;
  throw new ResourceError({
    code: 'RESOURCE_DISK_FULL',
    what: `The output takes ${formatBytes(least)} or more, and the disk of "${output}" has ${formatBytes(free)} free.`,
    where: { file: output },
    whatToDo: `Free ${formatBytes(least - free)} or more there, write to another disk, or choose fewer bits.`,
    retryable: true,
  });
}
