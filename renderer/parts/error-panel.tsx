import { useState, type JSX, type ReactNode } from 'react';
import type { SerializedError } from '../../core/errors.ts';
import { copyText } from './copy-text.ts';
import { Icon } from './icon.tsx';

type ShownError = Pick<SerializedError, 'code' | 'what' | 'where' | 'whatToDo'> & { stack?: string | undefined };

/** What failed, where, what to do, and its details to copy. `children`: buttons such as Retry. */
export function ErrorPanel({ error, children }: { error: ShownError; children?: ReactNode }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  const places = Object.entries(error.where).filter(([, value]) => value !== undefined);
  return (
    <div className="error-panel" role="alert">
      <p className="error-what">
        <Icon name="warning" /> {error.what}
      </p>
      {places.length > 0 && (
        <dl className="facts compact">
          {places.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="mono wrap">{String(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      <p>{error.whatToDo}</p>
      <p className="row">
        {children}
        <button
          type="button"
          onClick={() => {
            void copyText(JSON.stringify(error, null, 2)).then(setCopied);
          }}
        >
          <Icon name="copy" /> {isCopied ? 'Copied' : 'Copy details'}
        </button>
        <span className="quiet mono">{error.code}</span>
      </p>
    </div>
  );
}
