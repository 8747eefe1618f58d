/** Bytes, bits per weight, rates and durations as text for people, and byte counts as people type them. */
import { UsageError } from './errors.ts';

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `13910360` becomes `13.3 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(value < 10 ? 2 : 1)} ${BINARY_UNITS[unit] ?? ''}`;
}

/** `0.2` becomes `0.2 s`, `75` becomes `1 min 15 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `0.2732` becomes `27.32 %`. */
export function formatFraction(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

/** Grouped by thousands: `6951168` becomes `6,951,168`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Stored bits per weight; 0 where there are no weights. */
export function bitsPerWeight(storedBytes: number, parameters: number): number {
  return parameters === 0 ? 0 : (8 * storedBytes) / parameters;
}

const BYTE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

/**
 * Reads `8GiB`, `512 MiB`, `500MB` or a plain count of bytes.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT
 */
export function parseBytes(text: string, name: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const factor = match === null ? undefined : BYTE_UNITS[(match[2] ?? '').toLowerCase()];
  const bytes = match === null || factor === undefined ? Number.NaN : Math.floor(Number(match[1]) * factor);
  if (!Number.isSafeInteger(bytes)) {
    throw new UsageError({
      code: 'USAGE_INVALID_ARGUMENT',
      what: `"${text}" is not a number of bytes for ${name}.`,
      whatToDo: 'Write a count of bytes or a number with a unit, as in 8GiB.',
    });
  }
  return bytes;
}
