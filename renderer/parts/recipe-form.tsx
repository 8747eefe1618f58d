import { useId, type JSX } from 'react';
import { BLOCK_FORMATS, QUANTIZED_FORMATS, type QuantizedFormat } from '../../core/contract/quantized-formats.ts';
import type { QuantizeStep, Recipe } from '../../core/contract/recipe.ts';
import {
  stepKindOf,
  withBudget,
  withCalibrationTexts,
  withEvaluation,
  withFormat,
  withLimits,
  withMethod,
  withStepKind,
  type StepKind,
} from '../model/recipe-edits.ts';
import { editRecipe } from '../state/recipe-store.ts';
import { useWorkbench } from '../state/workbench-store.ts';
import { NumberField } from './number-field.tsx';
import { TextList } from './text-list.tsx';

const KINDS: readonly (readonly [StepKind, string])[] = [
  ['split-plane', 'lossless, split-plane'],
  ['dfloat11', 'lossless, DFloat11'],
  ['format', 'one format or mix'],
  ['allocation', 'allocated within a budget'],
];

const MIXES = QUANTIZED_FORMATS.filter((format) => /_k_[sml]$/.test(format));
/** What this release can run. */
const FORMATS: readonly QuantizedFormat[] = [...MIXES, ...BLOCK_FORMATS];

/** The common fields of a recipe; what it cannot say is edited as text beside it. */
export function RecipeForm({ recipe }: { recipe: Recipe | null }): JSX.Element {
  if (recipe === null) {
    return (
      <section className="recipe-form" aria-label="Fields">
        <h2 className="minor">Fields</h2>
        <p className="quiet">They come back when the text is a recipe again.</p>
      </section>
    );
  }
  return (
    <section className="recipe-form" aria-label="Fields">
      <h2 className="minor">Fields</h2>
      <StepFields recipe={recipe} />
      <TextFields recipe={recipe} />
      <LimitFields recipe={recipe} />
    </section>
  );
}

function StepFields({ recipe }: { recipe: Recipe }) {
  const id = useId();
  const kind = stepKindOf(recipe);
  const step = recipe.steps.find((other): other is QuantizeStep => other.step === 'quantize');
  if (kind === null) {
    return <p className="quiet">{recipe.steps.length} steps, which only the text can say.</p>;
  }
  return (
    <fieldset>
      <legend className="visually-hidden">Step</legend>
      <div className="field">
        <label htmlFor={`${id}-kind`}>What it does</label>
        <select
          id={`${id}-kind`}
          value={kind}
          onChange={({ target }) => editRecipe((before) => withStepKind(before, target.value as StepKind))}
        >
          {KINDS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </div>
      {step !== undefined && (
        <div className="field">
          <label htmlFor={`${id}-method`}>Method</label>
          <select
            id={`${id}-method`}
            value={step.method}
            onChange={({ target }) =>
              editRecipe((before) => withMethod(before, target.value as QuantizeStep['method']))
            }
          >
            <option value="rtn">rounding to nearest</option>
            <option value="gptq">GPTQ, needs a calibration text</option>
          </select>
        </div>
      )}
      {kind === 'format' && (
        <div className="field">
          <label htmlFor={`${id}-format`}>Format</label>
          <select
            id={`${id}-format`}
            value={step?.format}
            onChange={({ target }) => editRecipe((before) => withFormat(before, target.value as QuantizedFormat))}
          >
            {FORMATS.map((format) => (
              <option key={format}>{format}</option>
            ))}
          </select>
        </div>
      )}
      {step?.allocation !== undefined && <BudgetFields allocation={step.allocation} />}
    </fieldset>
  );
}

function BudgetFields({ allocation }: { allocation: NonNullable<QuantizeStep['allocation']> }) {
  const { averageBits, totalBytes } = allocation;
  const isBits = averageBits !== undefined;
  return (
    <>
      <div className="row" role="radiogroup" aria-label="Budget">
        <label className="row tight">
          <input
            type="radio"
            name="budget"
            checked={isBits}
            onChange={() => editRecipe((before) => withBudget(before, { averageBits: 4.5 }))}
          />
          average bits
        </label>
        <label className="row tight">
          <input
            type="radio"
            name="budget"
            checked={!isBits}
            onChange={() => editRecipe((before) => withBudget(before, { totalBytes: 4 * 2 ** 20 }))}
          />
          whole file
        </label>
      </div>
      {isBits ? (
        <>
          <NumberField
            label="Average bits a weight"
            value={averageBits}
            step={0.05}
            onChange={(bits) => bits !== null && editRecipe((before) => withBudget(before, { averageBits: bits }))}
          />
          <input
            type="range"
            aria-label="Average bits a weight, by sliding"
            min={2.5}
            max={8.5}
            step={0.05}
            value={averageBits}
            onChange={({ target }) => editRecipe((before) => withBudget(before, { averageBits: Number(target.value) }))}
          />
        </>
      ) : (
        <NumberField
          label="Bytes of the whole file, at most"
          value={totalBytes ?? null}
          step={1}
          onChange={(bytes) =>
            bytes !== null && editRecipe((before) => withBudget(before, { totalBytes: Math.round(bytes) }))
          }
        />
      )}
    </>
  );
}

function TextFields({ recipe }: { recipe: Recipe }) {
  const sample = useWorkbench((state) => state.sample);
  const { calibration, evaluate } = recipe;
  const shown = calibration !== undefined && 'text' in calibration ? calibration.text : [];
  const limitTokens = evaluate?.limitTokens ?? null;
  return (
    <fieldset>
      <legend className="visually-hidden">Texts</legend>
      <TextList
        label="Calibration texts"
        texts={shown}
        offered={sample?.calibrationText ?? null}
        onChange={(texts) => editRecipe((before) => withCalibrationTexts(before, texts))}
      />
      <TextList
        label="Measure on"
        texts={evaluate?.text ?? []}
        offered={sample?.evaluationText ?? null}
        onChange={(texts) => editRecipe((before) => withEvaluation(before, { texts, limitTokens }))}
      />
      {evaluate !== undefined && (
        <NumberField
          label="Only the first tokens of each text (empty: all)"
          value={limitTokens}
          step={256}
          onChange={(tokens) =>
            editRecipe((before) => withEvaluation(before, { texts: before.evaluate?.text ?? [], limitTokens: tokens }))
          }
        />
      )}
    </fieldset>
  );
}

function LimitFields({ recipe }: { recipe: Recipe }) {
  const { evaluate, limits = {} } = recipe;
  if (evaluate === undefined) {
    return <p className="quiet small">Limits of quality need a text to be measured on.</p>;
  }
  const set = (key: 'perplexityIncrease' | 'klDivergence', value: number | null) =>
    editRecipe((before) => {
      const { [key]: _, ...others } = before.limits ?? {};
      return withLimits(before, value === null ? others : { ...others, [key]: value });
    });
  return (
    <fieldset>
      <legend className="visually-hidden">Limits</legend>
      <NumberField
        label="Perplexity increase, at most (0.05 is five percent)"
        value={limits.perplexityIncrease ?? null}
        step={0.005}
        onChange={(value) => set('perplexityIncrease', value)}
      />
      <NumberField
        label="Mean KL divergence, nats, at most"
        value={limits.klDivergence ?? null}
        step={0.001}
        onChange={(value) => set('klDivergence', value)}
      />
    </fieldset>
  );
}
