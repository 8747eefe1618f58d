import { useEffect, useState, type JSX } from 'react';
import type { PresetCard } from '../../core/contract/preset-cards.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { formatBytes, formatSeconds } from '../../core/units.ts';
import { presetText } from '../model/preset-text.ts';
import { replaceRecipe } from '../state/recipe-store.ts';
import { ask, useWorkbench } from '../state/workbench-store.ts';

/** By model and preset: estimates come from headers, and those do not change while a model is open. */
const estimates = new Map<string, EstimateResult | string>();

/** The recipes that ship with the program, each with what it would cost for this model. */
export function PresetList({ model }: { model: string }): JSX.Element {
  const presets = useWorkbench((state) => state.presets);
  const sample = useWorkbench((state) => state.sample);
  const [, setKnown] = useState(0);
  const text = sample?.calibrationText ?? null;
  useEffect(() => {
    let isCurrent = true;
    async function estimateAll() {
      for (const preset of presets) {
        const key = `${model}\n${preset.name}`;
        if (!isCurrent) return;
        if (!estimates.has(key)) estimates.set(key, await estimatePreset(model, preset, text));
        setKnown((count) => count + 1);
      }
    }
    void estimateAll();
    return () => {
      isCurrent = false;
    };
  }, [model, presets, text]);
  return (
    <section className="presets" aria-label="Presets">
      <h2 className="minor">Presets</h2>
      <ul>
        {presets.map((preset) => (
          <li key={preset.name}>
            <button type="button" className="plain preset" onClick={() => replaceRecipe(presetText(preset, text))}>
              <b>{preset.name}</b>
              <PresetEstimate known={estimates.get(`${model}\n${preset.name}`)} />
              <span className="quiet small preset-comment">{preset.comment}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function PresetEstimate({ known }: { known: EstimateResult | string | undefined }) {
  if (known === undefined) return <span className="quiet figure small preset-size">…</span>;
  if (typeof known === 'string') {
    return (
      <span className="warn small preset-size" title={known}>
        not for this model
      </span>
    );
  }
  const { storedBytes, storedBytesLow, storedBytesHigh, peakMemoryBytes, secondsHigh } = known;
  const isExact = storedBytesLow === storedBytesHigh;
  return (
    <>
      <span className={isExact ? 'figure preset-size' : 'figure preset-size estimate'}>{formatBytes(storedBytes)}</span>
      <span className="quiet small preset-cost">
        {formatBytes(peakMemoryBytes)} of memory, <i>at most {formatSeconds(secondsHigh)}</i>
      </span>
    </>
  );
}

async function estimatePreset(
  model: string,
  preset: PresetCard,
  text: string | null,
): Promise<EstimateResult | string> {
  try {
    const calibrationTexts = preset.needsCalibration && text !== null ? [text] : [];
    const { recipe } = await ask('recipe.parse', { text: preset.text, calibrationTexts });
    return await ask('estimate', { model, recipe, recipeFolder: '/', output: null });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
