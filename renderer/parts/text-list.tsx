import { useState, type JSX } from 'react';
import { baseName } from '../model/compare-points.ts';
import { FileBrowser } from './file-browser.tsx';
import { Icon } from './icon.tsx';

interface TextListProps {
  label: string;
  texts: readonly string[];
  /** A text that ships with the program; null: none. */
  offered: string | null;
  onChange: (texts: readonly string[]) => void;
}

/** Paths of texts, added by looking for them. */
export function TextList({ label, texts, offered, onChange }: TextListProps): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const add = (path: string) => {
    setOpen(false);
    if (!texts.includes(path)) onChange([...texts, path]);
  };
  return (
    <div className="field" role="group" aria-label={label}>
      <span className="label">{label}</span>
      {texts.map((path) => (
        <span key={path} className="row tight chip">
          <bdi className="ellipsis grow" title={path}>
            {baseName(path)}
          </bdi>
          <button
            type="button"
            className="plain"
            aria-label={`Remove ${baseName(path)}`}
            onClick={() => onChange(texts.filter((other) => other !== path))}
          >
            <Icon name="close" />
          </button>
        </span>
      ))}
      <span className="row">
        {offered !== null && !texts.includes(offered) && (
          <button type="button" onClick={() => add(offered)} aria-label={`${label}: Sample text`}>
            Sample text
          </button>
        )}
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
          aria-label={`${label}: Add a file…`}
        >
          Add a file…
        </button>
      </span>
      {isOpen && <FileBrowser start={null} wants="file" onChoose={add} />}
    </div>
  );
}
