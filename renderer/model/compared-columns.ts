/** The table twin of the trade-off chart: its columns, their order, and the same as CSV. */
import { METHOD_NAMES } from '../charts/method-marks.ts';
import { paretoFront } from '../charts/pareto-front.ts';
import type { ComparedPoint } from './compare-points.ts';
import { toCsv } from './csv.ts';

export const COMPARED_COLUMNS = ['label', 'method', 'size', 'bits', 'kl', 'perplexity', 'top1', 'seconds'] as const;
export type ComparedColumn = (typeof COMPARED_COLUMNS)[number];

const NAMES = new Intl.Collator('en', { numeric: true });

function valueIn(column: ComparedColumn, point: ComparedPoint): string | number | null {
  switch (column) {
    case 'label':
      return point.label;
    case 'method':
      return METHOD_NAMES[point.kind];
    case 'size':
      return point.storedBytes;
    case 'bits':
      return point.bitsPerWeight;
    case 'kl':
      return point.klDivergence;
    case 'perplexity':
      return point.perplexity;
    case 'top1':
      return point.top1Agreement;
    case 'seconds':
      return point.seconds;
  }
}

export function sortPoints(
  points: readonly ComparedPoint[],
  column: ComparedColumn,
  isDescending: boolean,
): ComparedPoint[] {
  const direction = isDescending ? -1 : 1;
  return [...points].sort((a, b) => {
    const [one, other] = [valueIn(column, a), valueIn(column, b)];
    if (typeof one === 'string' && typeof other === 'string') return direction * NAMES.compare(one, other);
    return direction * (Number(one ?? -1) - Number(other ?? -1));
  });
}

/** Runs that no other beats in size and divergence at once. */
export function frontIds(points: readonly ComparedPoint[]): ReadonlySet<string> {
  const costs = points.map(({ runId, storedBytes, klDivergence }) => ({ runId, x: storedBytes, y: klDivergence }));
  return new Set(paretoFront(costs).map(({ runId }) => runId));
}

export function comparedCsv(points: readonly ComparedPoint[]): string {
  const front = frontIds(points);
  const head = [
    'run',
    'name',
    'method',
    'stored bytes',
    'bits per weight',
    'mean KL divergence (nats)',
    'perplexity',
    'reference perplexity',
    'top-1 agreement',
    'on the frontier',
    'text',
    'context',
    'predictions',
    'output',
  ];
  return toCsv([
    head,
    ...points.map((point) => [
      point.runId,
      point.label,
      METHOD_NAMES[point.kind],
      point.storedBytes,
      point.bitsPerWeight,
      point.klDivergence,
      point.perplexity,
      point.referencePerplexity,
      point.top1Agreement,
      front.has(point.runId) ? 'yes' : 'no',
      point.protocol.text,
      point.protocol.context,
      point.protocol.predictions,
      point.output,
    ]),
  ]);
}
