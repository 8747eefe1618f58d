import type { JSX } from 'react';
import { openModel, goTo, useWorkbench } from '../state/workbench-store.ts';

/** In place of a screen that needs a model. */
export function NoModel({ what }: { what: string }): JSX.Element {
  const sample = useWorkbench((state) => state.sample?.model ?? null);
  return (
    <div className="empty-state">
      <h2>No model is open</h2>
      <p className="quiet">Open one to {what}.</p>
      <p className="row">
        <button type="button" className="primary" onClick={() => goTo('Models')}>
          Open a model
        </button>
        {sample !== null && (
          <button type="button" onClick={() => void openModel(sample).catch(() => goTo('Models'))}>
            Try the sample model
          </button>
        )}
      </p>
    </div>
  );
}
