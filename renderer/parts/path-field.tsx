import { useId, useState, type JSX } from 'react';
import { FileBrowser } from './file-browser.tsx';

interface PathFieldProps {
  label: string;
  value: string;
  onChange: (path: string) => void;
  placeholder?: string;
  hint?: string;
  /** Whether files, or only folders, can be chosen by looking. */
  wants: 'file' | 'folder';
}

/** A path to type, or to look for in the engine's file system. */
export function PathField({ label, value, onChange, placeholder, hint, wants }: PathFieldProps): JSX.Element {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="row tight">
        <input
          id={id}
          className="mono grow"
          value={value}
          placeholder={placeholder}
          spellCheck={false}
          onChange={({ target }) => onChange(target.value)}
          aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        />
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} aria-label={`Browse: ${label}`}>
          Browse…
        </button>
      </div>
      {hint !== undefined && (
        <p id={`${id}-hint`} className="quiet small">
          {hint}
        </p>
      )}
      {isOpen && (
        <FileBrowser
          start={null}
          wants={wants}
          onChoose={(path) => {
            onChange(path);
            setOpen(false);
          }}
        />
      )}
    </div>
  );
}
