import { useMemo, useState, type JSX } from 'react';
import { formatBytes, formatSeconds } from '../../core/units.ts';
import { MARK_PATHS, METHOD_NAMES } from '../charts/method-marks.ts';
import { COMPARED_COLUMNS, frontIds, sortPoints, type ComparedColumn } from '../model/compared-columns.ts';
import type { ComparedPoint } from '../model/compare-points.ts';
import { percent, significant } from '../model/figures.ts';

interface ComparedTableProps {
  points: readonly ComparedPoint[];
  chosen: readonly string[];
  shown: string | null;
  onShow: (id: string) => void;
  onToggle: (id: string) => void;
}

const HEADS: Readonly<Record<ComparedColumn, string>> = {
  label: 'Run',
  method: 'Method',
  size: 'Stored',
  bits: 'Bits/weight',
  kl: 'Mean KL, nats',
  perplexity: 'Perplexity',
  top1: 'Same top token',
  seconds: 'Took',
};

/** The same points as the chart, sorted as one likes. */
export function ComparedTable({ points, chosen, shown, onShow, onToggle }: ComparedTableProps): JSX.Element {
  const [sort, setSort] = useState<{ column: ComparedColumn; isDescending: boolean }>({
    column: 'size',
    isDescending: false,
  });
  const rows = useMemo(() => sortPoints(points, sort.column, sort.isDescending), [points, sort]);
  const front = useMemo(() => frontIds(points), [points]);
  return (
    <div className="table-scroll panel">
      <table aria-label="Compared runs">
        <thead>
          <tr>
            <th scope="col">
              <span className="visually-hidden">Side by side</span>
            </th>
            {COMPARED_COLUMNS.map((column) => (
              <th
                key={column}
                scope="col"
                className={column === 'label' || column === 'method' ? undefined : 'figure'}
                aria-sort={sort.column !== column ? 'none' : sort.isDescending ? 'descending' : 'ascending'}
              >
                <button
                  type="button"
                  className="plain"
                  onClick={() => setSort({ column, isDescending: sort.column === column ? !sort.isDescending : false })}
                >
                  {HEADS[column]}
                  <span aria-hidden="true">
                    {sort.column !== column ? '' : sort.isDescending ? '\u00a0↓' : '\u00a0↑'}
                  </span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((point) => (
            <tr key={point.runId} aria-selected={point.runId === shown}>
              <td>
                <input
                  type="checkbox"
                  aria-label={`Put ${point.label} side by side`}
                  checked={chosen.includes(point.runId)}
                  onChange={() => onToggle(point.runId)}
                />
              </td>
              <th scope="row">
                <button type="button" className="plain link" onClick={() => onShow(point.runId)}>
                  <bdi>{point.label}</bdi>
                </button>
              </th>
              <td>
                <span className="row tight">
                  <svg
                    width="14"
                    height="14"
                    viewBox="-7 -7 14 14"
                    className={`mark method-${point.kind}`}
                    aria-hidden="true"
                  >
                    <path d={MARK_PATHS[point.kind]} />
                  </svg>
                  {METHOD_NAMES[point.kind]}
                  {front.has(point.runId) && <span className="tag">frontier</span>}
                </span>
              </td>
              <td className="figure" title={`${point.storedBytes} bytes`}>
                {formatBytes(point.storedBytes)}
              </td>
              <td className="figure" title={String(point.bitsPerWeight)}>
                {significant(point.bitsPerWeight)}
              </td>
              <td className="figure" title={String(point.klDivergence)}>
                {significant(point.klDivergence)}
              </td>
              <td className="figure" title={String(point.perplexity)}>
                {significant(point.perplexity, 4)}
              </td>
              <td className="figure" title={String(point.top1Agreement)}>
                {point.top1Agreement === null ? '' : percent(point.top1Agreement, 2)}
              </td>
              <td className="figure">{point.seconds === null ? '' : formatSeconds(point.seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
