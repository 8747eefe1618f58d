/** What the trade-off chart shows, and in which units. */
import { formatBytes } from '../../core/units.ts';
import type { ComparedPoint } from './compare-points.ts';
import { significant } from './figures.ts';

export interface ChartAxes {
  x: 'size' | 'bits';
  y: 'kl' | 'perplexity';
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

export interface SizeUnit {
  name: 'GiB' | 'MiB';
  bytes: number;
}

/** GiB, or MiB where all of it is far below one GiB. */
export function sizeUnit(points: readonly ComparedPoint[]): SizeUnit {
  const most = Math.max(0, ...points.map(({ sourceBytes }) => sourceBytes));
  return most < GIB / 4 ? { name: 'MiB', bytes: MIB } : { name: 'GiB', bytes: GIB };
}

export function xOf(point: ComparedPoint, { x }: ChartAxes, unit: SizeUnit): number {
  return x === 'size' ? point.storedBytes / unit.bytes : point.bitsPerWeight;
}

export function yOf(point: ComparedPoint, { y }: ChartAxes): number {
  return y === 'kl' ? point.klDivergence : point.perplexity;
}

/** Half the height of a point's 95 % interval, in the axis's unit; null where it is not known. */
export function halfIntervalOf({ klStandardError }: ComparedPoint, { y }: ChartAxes): number | null {
  return y === 'kl' && klStandardError !== null && klStandardError > 0 ? 1.96 * klStandardError : null;
}

/** Of the source itself, for the reference line. */
export function sourceX(point: ComparedPoint, { x }: ChartAxes, unit: SizeUnit): number {
  return x === 'size' ? point.sourceBytes / unit.bytes : (point.bitsPerWeight * point.sourceBytes) / point.storedBytes;
}

export function xTitle({ x }: ChartAxes, unit: SizeUnit): string {
  return x === 'size'
    ? `Stored size, ${unit.name} (less is better)`
    : 'Bits a weight, over all weights (less is better)';
}

export function yTitle({ y }: ChartAxes): string {
  return y === 'kl' ? 'Mean KL divergence, nats a token, log scale (less is better)' : 'Perplexity (less is better)';
}

/** A point in words, for hover, focus and screen readers. */
export function describePoint(point: ComparedPoint): string {
  const { label, storedBytes, bitsPerWeight, klDivergence, klStandardError, perplexity } = point;
  const spread = klStandardError === null ? '' : ` ± ${significant(1.96 * klStandardError, 2)}`;
  const divergence = klDivergence === 0 ? 'KL exactly 0' : `KL ${significant(klDivergence)}${spread} nats`;
  return `${label}: ${formatBytes(storedBytes)}, ${significant(bitsPerWeight)} bits a weight, ${divergence}, perplexity ${significant(perplexity, 4)}`;
}
