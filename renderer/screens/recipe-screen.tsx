import { useEffect, useMemo, useRef, useState, type JSX } from 'react';
import type { QuantizedFormat } from '../../core/contract/quantized-formats.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { baseName } from '../model/compare-points.ts';
import { layerMap, type MapCell } from '../model/layer-map.ts';
import { commandLine, defaultOutput } from '../model/run-plan.ts';
import { patternOfScope, withRule, type RuleScope } from '../model/recipe-edits.ts';
import { BudgetLine } from '../parts/budget-line.tsx';
import { copyText } from '../parts/copy-text.ts';
import { ErrorPanel } from '../parts/error-panel.tsx';
import { Icon } from '../parts/icon.tsx';
import { LayerMapView } from '../parts/layer-map-view.tsx';
import { NoModel } from '../parts/no-model.tsx';
import { PathField } from '../parts/path-field.tsx';
import { PresetList } from '../parts/preset-list.tsx';
import { RecipeEditor } from '../parts/recipe-editor.tsx';
import { RecipeForm } from '../parts/recipe-form.tsx';
import { RuleInspector } from '../parts/rule-inspector.tsx';
import { saveFile } from '../parts/save-file.ts';
import { Workspace } from '../parts/workspace.tsx';
import { checkRecipe, editRecipe, redoRecipe, undoRecipe, useRecipe } from '../state/recipe-store.ts';
import { ask, enqueueAndForget, goTo, useWorkbench } from '../state/workbench-store.ts';

export function RecipeScreen(): JSX.Element {
  const model = useWorkbench((state) => state.model?.path ?? null);
  if (model === null) return <NoModel what="see what a recipe makes of it" />;
  return <RecipeDesk model={model} />;
}

function RecipeDesk({ model }: { model: string }) {
  const { recipe, error, explained, estimated, planError, text, isChecking } = useRecipe();
  const [cell, setCell] = useState<string | null>(null);
  useEffect(() => void checkRecipe(), [model]);
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
      // Fields that the recipe's own text does not stand in have their own undo.
      if (event.target instanceof HTMLInputElement && event.target.type === 'text') return;
      event.preventDefault();
      if (event.shiftKey) redoRecipe();
      else undoRecipe();
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const map = useMemo(() => (explained === null ? null : layerMap(explained.tensors)), [explained]);
  const chosen: MapCell | null = useMemo(() => {
    if (map === null || cell === null) return null;
    const cells = [...map.others.map((other) => other.cell), ...map.blocks.flatMap((block) => block.cells)];
    return cells.find((other) => other?.tensors.some(({ name }) => name === cell)) ?? null;
  }, [map, cell]);
  function paint(name: string, scope: Exclude<RuleScope, 'all'>, format: QuantizedFormat | 'skip') {
    editRecipe((before) => withRule(before, patternOfScope(name, scope), format));
  }
  return (
    <Workspace
      inspected={
        chosen === null
          ? null
          : {
              title: chosen.tensors.length === 1 ? (chosen.tensors[0]?.name ?? '') : `${chosen.tensors.length} tensors`,
              onClose: () => setCell(null),
              content: <RuleInspector cell={chosen} recipe={recipe} onPaint={paint} />,
            }
      }
    >
      <BudgetLine
        estimated={estimated}
        isChecking={isChecking}
        why={
          planError === null
            ? 'No estimate: the text is no recipe yet.'
            : 'No estimate: model and recipe do not go together.'
        }
      />
      <div className="recipe-columns">
        <PresetList model={model} />
        <div className="stack">
          <div className="row spread">
            <h2 className="minor">Recipe</h2>
            <span className="row tight">
              <button type="button" disabled={text.past.length === 0} onClick={undoRecipe}>
                <Icon name="undo" /> Undo
              </button>
              <button type="button" disabled={text.future.length === 0} onClick={redoRecipe}>
                <Icon name="redo" /> Redo
              </button>
            </span>
          </div>
          <RecipeEditor text={text.present} error={error} />
          {planError !== null && <ErrorPanel error={planError} />}
          {error === null && estimated !== null && estimated.problems.length > 0 && (
            <ul className="problems">
              {estimated.problems.map(({ message, blocking }) => (
                <li key={message} className={blocking ? 'bad' : 'warn'}>
                  {message}
                </li>
              ))}
            </ul>
          )}
          <RunPanel model={model} />
        </div>
        <RecipeForm recipe={recipe} />
      </div>
      {map !== null && <LayerMapView map={map} selected={cell} onSelect={setCell} />}
      {explained !== null && explained.notes.length > 0 && (
        <details>
          <summary>Notes ({explained.notes.length})</summary>
          <ul>
            {explained.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </Workspace>
  );
}

/** Where the output goes, and the button that begins. */
function RunPanel({ model }: { model: string }) {
  const recipe = useRecipe((state) => state.recipe);
  const wouldFail = useRecipe(({ estimated, planError }) => planError !== null || estimated?.wouldFail === true);
  const [home, setHome] = useState<string | null>(null);
  const [typed, setTyped] = useState<string | null>(null);
  const [isForced, setForced] = useState(false);
  const [error, setError] = useState<SerializedError | null>(null);
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    ask('files.list', { path: null }).then(
      ({ path }) => setHome(path),
      (thrown: unknown) => setError(serializeError(thrown)),
    );
  }, []);
  const output = typed ?? (home === null ? '' : defaultOutput(home, model, recipe));
  function run() {
    if (recipe === null || output === '' || wouldFail) return;
    const label = `${recipe.name ?? baseName(output)} · ${baseName(model)}`;
    enqueueAndForget('compress', {
      model,
      output,
      recipe,
      recipeFolder: '/',
      resume: false,
      force: isForced,
      queue: { label },
    });
    goTo('Runs');
  }
  const latestRun = useRef(run);
  useEffect(() => {
    latestRun.current = run;
  });
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) latestRun.current();
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  return (
    <section className="panel run-panel" aria-label="Run the recipe">
      {error !== null && <ErrorPanel error={error} />}
      <PathField label="Output folder" value={output} onChange={setTyped} wants="folder" />
      <div className="row">
        <button
          type="button"
          className="primary"
          disabled={recipe === null || output === '' || wouldFail}
          onClick={run}
        >
          <Icon name="play" /> Run
        </button>
        <label className="row tight">
          <input type="checkbox" checked={isForced} onChange={({ target }) => setForced(target.checked)} />
          Replace what is there, once the new output is verified
        </label>
        <button type="button" onClick={() => void copyText(commandLine(model, output, isForced)).then(setCopied)}>
          <Icon name="copy" /> {isCopied ? 'Copied' : 'Copy as command line'}
        </button>
        <button
          type="button"
          onClick={() => saveFile('recipe.yaml', new Blob([useRecipe.getState().text.present], { type: 'text/yaml' }))}
        >
          Save recipe.yaml
        </button>
      </div>
      <p className="quiet small">
        The same in a terminal, with the text above as recipe.yaml; it gives the same bytes:
      </p>
      <p className="mono quiet wrap">{commandLine(model, output, isForced)}</p>
    </section>
  );
}
