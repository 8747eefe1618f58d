import { Bar, BarChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import type { JSX } from 'react';
import { formatBytes, formatCount } from '../../core/units.ts';
import { percent } from '../model/figures.ts';
import { SizeBar } from '../parts/size-bar.tsx';
import type { GroupTotals } from '../model/tensor-rows.ts';

/** Bytes of each group of tensors: bars made of the table that they are. */
export function BytesByGroup({ groups }: { groups: readonly GroupTotals[] }): JSX.Element {
  const most = Math.max(1, ...groups.map(({ storedBytes }) => storedBytes));
  const all = groups.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  return (
    <table className="bars compact" aria-label="Bytes by group">
      <tbody>
        {groups.map(({ group, storedBytes, count }) => (
          <tr key={group} title={`${formatCount(count)} tensors, ${formatCount(storedBytes)} bytes`}>
            <th scope="row">{group}</th>
            <td className="bar-cell">
              <SizeBar fraction={storedBytes / most} label={`${group}: ${formatBytes(storedBytes)}`} />
            </td>
            <td className="figure">{formatBytes(storedBytes)}</td>
            <td className="figure quiet">{percent(all === 0 ? 0 : storedBytes / all)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How many bytes lie in tensors of which exponent entropy: what lossless coding lives on. */
export function EntropyBars({ steps }: { steps: readonly { from: number; bytes: number }[] }): JSX.Element | null {
  if (steps.length === 0) return null;
  const summary = steps.map(({ from, bytes }) => `${from.toFixed(2)} bits: ${formatBytes(bytes)}`).join('; ');
  return (
    <figure className="small-chart" role="img" aria-label={`Bytes by exponent entropy. ${summary}`}>
      <figcaption className="quiet small">
        Bytes of the matrices by exponent entropy, bits of 8 (less is smaller when lossless)
      </figcaption>
      <ResponsiveContainer width="100%" height={112}>
        <BarChart data={[...steps]} margin={{ top: 4, right: 8, bottom: 0, left: 0 }} accessibilityLayer={false}>
          <XAxis dataKey="from" tickFormatter={(from: number) => from.toFixed(2)} tickLine={false} />
          <YAxis width={72} tickFormatter={(bytes: number) => formatBytes(bytes)} tickLine={false} axisLine={false} />
          <Tooltip
            isAnimationActive={false}
            formatter={(bytes) => [formatBytes(Number(bytes)), 'stored']}
            labelFormatter={(from) => `from ${Number(from).toFixed(2)} bits`}
          />
          <Bar dataKey="bytes" className="bar-accent" isAnimationActive={false} maxBarSize={48} />
        </BarChart>
      </ResponsiveContainer>
    </figure>
  );
}
