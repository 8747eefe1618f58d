import { useRef, type JSX, type KeyboardEvent } from 'react';
import type { SerializedError } from '../../core/errors.ts';
import { typeRecipe } from '../state/recipe-store.ts';

/** The place stands in front of it already. */
function withoutPlace(what: string): string {
  return what.replace(/^"recipe", line \d+, column \d+: /, '');
}

/** The recipe's text with its line numbers; a fault stands below, and its line is marked. */
export function RecipeEditor({ text, error }: { text: string; error: SerializedError | null }): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const lines = text.split('\n');
  const line = error?.where.line;
  const column = error?.where.column;
  function onKey(event: KeyboardEvent<HTMLTextAreaElement>) {
    // Tab leaves the field, as everywhere; YAML's two spaces come with Ctrl+].
    if (event.key !== ']' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const { selectionStart, value } = event.currentTarget;
    typeRecipe(`${value.slice(0, selectionStart)}  ${value.slice(selectionStart)}`);
  }
  function showFault() {
    if (area.current === null || line === undefined) return;
    const before = lines.slice(0, line - 1).reduce((sum, { length }) => sum + length + 1, 0);
    const from = before + (column ?? 1) - 1;
    area.current.focus();
    area.current.setSelectionRange(from, before + (lines[line - 1]?.length ?? 0));
  }
  return (
    <div className="stack">
      <div className="editor">
        <div ref={gutter} className="editor-gutter mono" aria-hidden="true">
          {lines.map((_, index) => (
            <div key={index} className={index + 1 === line ? 'fault' : undefined}>
              {index + 1}
            </div>
          ))}
        </div>
        <textarea
          ref={area}
          className="mono"
          aria-label="Recipe, YAML"
          aria-invalid={error !== null}
          aria-describedby={error === null ? undefined : 'recipe-fault'}
          value={text}
          rows={Math.max(14, Math.min(28, lines.length + 1))}
          spellCheck={false}
          wrap="off"
          onChange={({ target }) => typeRecipe(target.value)}
          onKeyDown={onKey}
          onScroll={({ currentTarget }) => {
            if (gutter.current) gutter.current.scrollTop = currentTarget.scrollTop;
          }}
        />
      </div>
      <div id="recipe-fault" className="editor-fault" aria-live="polite">
        {error !== null && (
          <>
            <button type="button" className="plain bad" onClick={showFault}>
              {line === undefined ? 'Fault' : `Line ${line}, column ${column ?? 1}`}
            </button>
            <span className="bad wrap">{withoutPlace(error.what)}</span> <span>{error.whatToDo}</span>
          </>
        )}
      </div>
    </div>
  );
}
