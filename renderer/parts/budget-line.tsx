import type { JSX } from 'react';
import type { EstimateResult } from '../../core/contract/results.ts';
import { formatBytes, formatSeconds } from '../../core/units.ts';
import { percent, significant } from '../model/figures.ts';
import { SizeBar } from './size-bar.tsx';

interface BudgetLineProps {
  estimated: EstimateResult | null;
  isChecking: boolean;
  /** Why there is no estimate. */
  why: string;
}

/** What the recipe would cost, before anything is done: estimates in italics, as ranges where they are ranges. */
export function BudgetLine({ estimated, isChecking, why }: BudgetLineProps): JSX.Element {
  if (estimated === null) {
    return (
      <section className="panel budget" aria-label="Estimate">
        <p className="quiet">{isChecking ? 'Checking the recipe…' : why}</p>
      </section>
    );
  }
  const { storedBytes, storedBytesLow, storedBytesHigh, sourceStoredBytes } = estimated;
  const fraction = storedBytes / sourceStoredBytes;
  const isExact = storedBytesLow === storedBytesHigh;
  return (
    <section className="panel budget" aria-label="Estimate" aria-busy={isChecking}>
      <Figure name="now" value={formatBytes(sourceStoredBytes)} />
      <Figure
        name={isExact ? 'will be' : 'would be'}
        value={isExact ? formatBytes(storedBytes) : `${formatBytes(storedBytesLow)} – ${formatBytes(storedBytesHigh)}`}
        isEstimate={!isExact}
      />
      <Figure name="of the source" value={percent(fraction)} isEstimate={!isExact} />
      <Figure name="bits a weight" value={significant(estimated.bitsPerWeight)} isEstimate={!isExact} />
      <Figure name="memory at most" value={formatBytes(estimated.peakMemoryBytes)} />
      <Figure
        name="time"
        value={`${formatSeconds(estimated.secondsLow)} – ${formatSeconds(estimated.secondsHigh)}`}
        isEstimate
      />
      <SizeBar fraction={fraction} label={`Size: ${percent(fraction)} of the source`} />
    </section>
  );
}

function Figure({ name, value, isEstimate = false }: { name: string; value: string; isEstimate?: boolean }) {
  return (
    <div className="budget-figure">
      <span className="quiet small">{name}</span>
      <span className={isEstimate ? 'estimate' : undefined}>{value}</span>
    </div>
  );
}
