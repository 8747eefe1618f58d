/** Whether there is room for the Gram matrices that a calibration would keep. */
import { ResourceError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { formatBytes } from '../../core/units.ts';
import { freeDiskBytes } from '../engine/free-disk.ts';
import type { MeasurementCache } from '../engine/measurement-cache.ts';

/**
 * Refuses more than the cache may hold: what does not fit would push out what other jobs measured, and stay above the limit.
 *
 * @param totalBytes of all blocks, known or not
 * @throws ResourceError RESOURCE_CACHE_LIMIT
 */
export function requireCacheLimit(totalBytes: number, { limitBytes }: MeasurementCache): void {
  if (totalBytes <= limitBytes) return;
  const limit = formatBytes(limitBytes);
  throw new ResourceError({
    code: 'RESOURCE_CACHE_LIMIT',
    what: `The Gram matrices of this model take ${formatBytes(totalBytes)}, but the measurement cache may hold ${limit}.`,
    whatToDo: `Set LATHE_CACHE_LIMIT to ${Math.ceil(totalBytes / 2 ** 20)}MiB or more.`,
  });
}

/**
 * Refuses more than the cache's disk can take.
 *
 * @param missingBytes of what is not in the cache yet
 * @throws ResourceError RESOURCE_DISK_FULL
 */
export async function requireDiskRoom(
  missingBytes: number,
  { folder }: MeasurementCache,
  kernels: Pick<Kernels, 'freeDiskBytes'>,
): Promise<void> {
  const freeBytes = missingBytes === 0 ? null : await freeDiskBytes(folder, kernels);
  if (freeBytes === null || missingBytes <= freeBytes) return;
  throw new ResourceError({
    code: 'RESOURCE_DISK_FULL',
    what: `The Gram matrices that are to be measured take ${formatBytes(missingBytes)}, but the disk of "${folder}" has ${formatBytes(freeBytes)} free.`,
    where: { file: folder },
    whatToDo: 'Free some space, or set LATHE_HOME to a folder on another disk.',
    retryable: true,
  });
}
