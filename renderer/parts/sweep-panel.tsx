import { useEffect, useState, type JSX } from 'react';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { baseName } from '../model/compare-points.ts';
import { withEvaluation } from '../model/recipe-edits.ts';
import { outputFolder } from '../model/run-plan.ts';
import { LADDER } from '../model/sweep-ladder.ts';
import { ask, enqueueAndForget, useWorkbench } from '../state/workbench-store.ts';
import { ErrorPanel } from './error-panel.tsx';
import { NumberField } from './number-field.tsx';
import { PathField } from './path-field.tsx';

/** A ladder of presets, each run and measured: their points appear as they end. */
export function SweepPanel({ model, onQueued }: { model: string; onQueued: () => void }): JSX.Element {
  const presets = useWorkbench((state) => state.presets);
  const sample = useWorkbench((state) => state.sample);
  const [picked, setPicked] = useState<readonly string[]>(LADDER);
  const [folder, setFolder] = useState('');
  const [shownText, setShownText] = useState(sample?.calibrationText ?? '');
  const [measuredText, setMeasuredText] = useState(sample?.evaluationText ?? '');
  const [limitTokens, setLimitTokens] = useState<number | null>(16_384);
  const [isForced, setForced] = useState(false);
  const [error, setError] = useState<SerializedError | null>(null);
  useEffect(() => {
    ask('files.list', { path: null }).then(
      ({ path }) => setFolder((before) => (before === '' ? outputFolder(path, model) : before)),
      () => undefined,
    );
  }, [model]);
  async function queueAll() {
    setError(null);
    try {
      for (const name of picked) {
        const preset = presets.find((other) => other.name === name);
        if (!preset) continue;
        const calibrationTexts = preset.needsCalibration ? [shownText] : [];
        const { recipe: plain } = await ask('recipe.parse', { text: preset.text, calibrationTexts });
        const recipe = withEvaluation(plain, { texts: [measuredText], limitTokens });
        enqueueAndForget('compress', {
          model,
          output: `${folder}/${name}`,
          recipe: { ...recipe, name },
          recipeFolder: '/',
          resume: false,
          force: isForced,
          queue: { label: `${name} · ${baseName(model)}` },
        });
      }
      onQueued();
    } catch (thrown) {
      setError(serializeError(thrown));
    }
  }
  const needsText = picked.some((name) => presets.find((preset) => preset.name === name)?.needsCalibration === true);
  const isReady = picked.length > 0 && folder !== '' && measuredText !== '' && (!needsText || shownText !== '');
  return (
    <section className="panel" aria-label="Sweep">
      <h2 className="minor">Sweep</h2>
      <div className="row" role="group" aria-label="Presets of the sweep">
        {presets.map(({ name }) => (
          <label key={name} className="row tight">
            <input
              type="checkbox"
              checked={picked.includes(name)}
              onChange={({ target }) =>
                setPicked(target.checked ? [...picked, name] : picked.filter((other) => other !== name))
              }
            />
            {name}
          </label>
        ))}
      </div>
      <div className="two-columns">
        <PathField label="Measure on" value={measuredText} onChange={setMeasuredText} wants="file" />
        <PathField label="Calibrate with" value={shownText} onChange={setShownText} wants="file" />
      </div>
      <PathField label="Output folder" value={folder} onChange={setFolder} wants="folder" />
      <NumberField
        label="Only the first tokens of the text (empty: all)"
        value={limitTokens}
        step={1024}
        onChange={setLimitTokens}
      />
      {error !== null && <ErrorPanel error={error} />}
      <div className="row">
        <button type="button" className="primary" disabled={!isReady} onClick={() => void queueAll()}>
          Queue {picked.length} runs
        </button>
        <label className="row tight">
          <input type="checkbox" checked={isForced} onChange={({ target }) => setForced(target.checked)} />
          Replace what is there, once the new output is verified
        </label>
      </div>
    </section>
  );
}
