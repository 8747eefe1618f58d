import type { CacheClearResult, CacheShowResult } from '../../core/contract/calibration-result.ts';
import type { MeasurementCache } from '../engine/measurement-cache.ts';

/** What the measurement cache holds. */
export async function showCache(cache: MeasurementCache): Promise<CacheShowResult> {
  const kinds = await cache.figures();
  const { folder, limitBytes } = cache;
  return { schema: 1, folder, ...totalOf(kinds), limitBytes, kinds };
}

/** Removes all of it; what is needed again is measured again. */
export async function clearCache(cache: MeasurementCache, dryRun: boolean): Promise<CacheClearResult> {
  const total = totalOf(await cache.figures());
  if (!dryRun) await cache.clear();
  return { schema: 1, folder: cache.folder, ...total, dryRun };
}

function totalOf(kinds: readonly { entries: number; bytes: number }[]): { entries: number; bytes: number } {
  return {
    entries: kinds.reduce((sum, { entries }) => sum + entries, 0),
    bytes: kinds.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
