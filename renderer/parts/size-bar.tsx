import type { JSX } from 'react';

/** How much of the whole something is; `label` says it in words. */
export function SizeBar({ fraction, label }: { fraction: number; label: string }): JSX.Element {
  return (
    <span className="size-bar" role="img" aria-label={label}>
      <span style={{ width: `${100 * Math.max(0, Math.min(1, fraction))}%` }} />
    </span>
  );
}
