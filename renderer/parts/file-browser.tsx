import { useEffect, useState, type JSX } from 'react';
import type { FolderListing, ListedEntry } from '../../core/contract/desk.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { visibleName } from '../model/visible-name.ts';
import { ask } from '../state/workbench-store.ts';
import { ErrorPanel } from './error-panel.tsx';
import { Icon } from './icon.tsx';

interface FileBrowserProps {
  /** Null: where the engine thinks that people begin. */
  start: string | null;
  /** `model`: folders and files that look like models. */
  wants: 'model' | 'file' | 'folder';
  onChoose: (path: string) => void;
}

/** The engine's folders: the files lie where it runs, which need not be where this window is. */
export function FileBrowser({ start, wants, onChoose }: FileBrowserProps): JSX.Element {
  const [path, setPath] = useState(start);
  const [listing, setListing] = useState<FolderListing | null>(null);
  const [error, setError] = useState<SerializedError | null>(null);
  useEffect(() => {
    let isCurrent = true;
    ask('files.list', { path }).then(
      (found) => {
        if (!isCurrent) return;
        setListing(found);
        setError(null);
      },
      (thrown: unknown) => {
        if (isCurrent) setError(serializeError(thrown));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [path]);
  if (listing === null) {
    return error === null ? <p className="quiet">Reading the folder…</p> : <ErrorPanel error={error} />;
  }
  const { entries, more, parent } = listing;
  const shown = wants === 'folder' ? entries.filter(({ kind }) => kind === 'folder') : entries;
  const pathOf = ({ name }: ListedEntry) => `${listing.path.replace(/[\\/]$/, '')}/${name}`;
  return (
    <div className="file-browser" role="group" aria-label="Files">
      <div className="row tight file-path">
        <button type="button" disabled={parent === null} onClick={() => setPath(parent)} aria-label="Up one folder">
          <Icon name="up" />
        </button>
        <bdi className="mono wrap grow">{listing.path}</bdi>
        {wants === 'folder' && (
          <button type="button" className="primary" onClick={() => onChoose(listing.path)}>
            Choose this folder
          </button>
        )}
      </div>
      {error !== null && <ErrorPanel error={error} />}
      <ul className="file-list">
        {shown.length === 0 && <li className="quiet empty">Nothing here.</li>}
        {shown.map((entry) => {
          const isFolder = entry.kind === 'folder';
          const isChoosable = wants === 'model' ? entry.isModel : wants === 'file' && !isFolder;
          return (
            <li key={entry.name}>
              <button
                type="button"
                className="plain grow"
                disabled={!isFolder && !isChoosable}
                onClick={() => (isFolder ? setPath(pathOf(entry)) : onChoose(pathOf(entry)))}
              >
                <Icon name={isFolder ? 'folder' : 'file'} />
                <bdi className="ellipsis">{visibleName(entry.name)}</bdi>
                {!isFolder && <span className="quiet figure">{formatBytes(entry.sizeBytes)}</span>}
              </button>
              {isChoosable && isFolder && (
                <button
                  type="button"
                  onClick={() => onChoose(pathOf(entry))}
                  aria-label={`Open the model ${entry.name}`}
                >
                  Open model
                </button>
              )}
            </li>
          );
        })}
        {more > 0 && <li className="quiet empty">and {more} more: type the path instead</li>}
      </ul>
    </div>
  );
}
