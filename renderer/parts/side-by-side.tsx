import type { JSX } from 'react';
import { formatBytes } from '../../core/units.ts';
import type { ComparedPoint } from '../model/compare-points.ts';
import { percent, significant } from '../model/figures.ts';

/** Two runs, figure by figure, and how far the second is from the first. */
export function SideBySide({
  pair,
  onClear,
}: {
  pair: readonly ComparedPoint[];
  onClear: () => void;
}): JSX.Element | null {
  const [a, b] = pair;
  if (!a) return null;
  if (!b) {
    return (
      <p className="quiet">
        <bdi>{a.label}</bdi> is chosen: choose a second run to put both side by side.
      </p>
    );
  }
  const rows: readonly (readonly [string, number | null, number | null, (value: number) => string])[] = [
    ['stored', a.storedBytes, b.storedBytes, formatBytes],
    ['bits a weight', a.bitsPerWeight, b.bitsPerWeight, significant],
    ['mean KL, nats', a.klDivergence, b.klDivergence, significant],
    ['perplexity', a.perplexity, b.perplexity, (value) => significant(value, 5)],
    ['same top token', a.top1Agreement, b.top1Agreement, (value) => percent(value, 2)],
    ['took, seconds', a.seconds, b.seconds, significant],
  ];
  return (
    <section className="panel" aria-label="Side by side">
      <div className="row spread">
        <h2 className="minor">Side by side</h2>
        <button type="button" className="plain" onClick={onClear}>
          Clear
        </button>
      </div>
      <table aria-label="Side by side">
        <thead>
          <tr>
            <th scope="col">Figure</th>
            <th scope="col" className="figure">
              <bdi>{a.label}</bdi>
            </th>
            <th scope="col" className="figure">
              <bdi>{b.label}</bdi>
            </th>
            <th scope="col" className="figure">
              second over first
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, one, other, format]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="figure">{one === null ? '–' : format(one)}</td>
              <td className="figure">{other === null ? '–' : format(other)}</td>
              <td className="figure">
                {one === null || other === null || one === 0 ? '–' : `× ${significant(other / one)}`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
