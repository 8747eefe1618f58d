import type { JSX, ReactNode } from 'react';

export type Fact = readonly [name: string, value: ReactNode, full?: string];

/** Names and values under each other; the full precision stands in the value's title. */
export function Facts({ facts }: { facts: readonly (Fact | null)[] }): JSX.Element {
  return (
    <dl className="facts">
      {facts.map((fact) => {
        if (fact === null) return null;
        const [name, value, full] = fact;
        return (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={full}>{value}</dd>
          </div>
        );
      })}
    </dl>
  );
}
