import { useEffect, useState, type JSX, type SyntheticEvent } from 'react';
import type { RecentModel } from '../../core/contract/desk.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { baseName } from '../model/compare-points.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { FileBrowser } from '../parts/file-browser.tsx';
import { Icon } from '../parts/icon.tsx';
import { Workspace } from '../parts/workspace.tsx';
import { ask, openModel, useWorkbench } from '../state/workbench-store.ts';

/** Where everything begins: the sample, a path, the engine's folders, what was opened before. */
export function ModelsScreen(): JSX.Element {
  const sample = useWorkbench((state) => state.sample);
  const isOpening = useWorkbench((state) => state.model?.isReading === true && state.model.inspected === null);
  const [path, setPath] = useState('');
  const [error, setError] = useState<{ path: string; what: SerializedError } | null>(null);
  function open(wanted: string) {
    setError(null);
    openModel(wanted).catch((thrown: unknown) => setError({ path: wanted, what: serializeError(thrown) }));
  }
  function openTyped(event: SyntheticEvent) {
    event.preventDefault();
    if (path.trim() !== '') open(path.trim());
  }
  const samplePath = sample?.model ?? null;
  return (
    <Workspace>
      <section className="welcome" aria-label="Begin">
        <div>
          <h2>Open a model</h2>
          <p className="quiet">
            A folder of safetensors, a shard index, a GGUF file, or anything that Lathe or DFloat11 has made. Nothing is
            uploaded, and nothing is written until you press Run.
          </p>
        </div>
        <button
          type="button"
          className="primary"
          disabled={samplePath === null || isOpening}
          onClick={() => samplePath !== null && open(samplePath)}
        >
          Try the sample model
        </button>
      </section>
      {error !== null && (
        <ErrorPanel error={error.what}>
          <button type="button" onClick={() => open(error.path)}>
            <Icon name="retry" /> Retry
          </button>
        </ErrorPanel>
      )}
      <form className="panel" onSubmit={openTyped}>
        <div className="field">
          <label htmlFor="model-path">Path of a model</label>
          <div className="row tight">
            <input
              id="model-path"
              className="mono grow"
              value={path}
              spellCheck={false}
              placeholder="/models/my-model"
              onChange={({ target }) => setPath(target.value)}
            />
            <button type="submit" disabled={isOpening || path.trim() === ''}>
              {isOpening ? 'Opening…' : 'Open'}
            </button>
          </div>
        </div>
      </form>
      <div className="two-columns">
        <section className="panel" aria-label="Browse for a model">
          <h2 className="minor">Browse</h2>
          <FileBrowser start={null} wants="model" onChoose={open} />
        </section>
        <Recent onOpen={open} />
      </div>
    </Workspace>
  );
}

function Recent({ onOpen }: { onOpen: (path: string) => void }) {
  const [models, setModels] = useState<readonly RecentModel[] | null>(null);
  function read() {
    ask('models.recent', {}).then(
      (recent) => setModels(recent.models),
      () => setModels([]),
    );
  }
  useEffect(read, []);
  return (
    <section className="panel" aria-label="Recent models">
      <h2 className="minor">Recent</h2>
      {models === null && <p className="quiet">Reading…</p>}
      {models?.length === 0 && <p className="quiet">Models that you open are listed here.</p>}
      <ul className="file-list">
        {models?.map(({ path, isMissing }) => (
          <li key={path}>
            <button type="button" className="plain grow recent" disabled={isMissing} onClick={() => onOpen(path)}>
              <bdi>{baseName(path)}</bdi>
              {isMissing && <span className="warn">missing</span>}
              <bdi className="quiet small mono ellipsis">{path}</bdi>
            </button>
            <button
              type="button"
              className="plain"
              aria-label={`Forget ${baseName(path)}`}
              title="Forget; the model itself stays"
              onClick={() => {
                ask('models.forget', { path }).then(read, read);
              }}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
