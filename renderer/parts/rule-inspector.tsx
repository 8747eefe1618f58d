import { useId, useState, type JSX } from 'react';
import { BLOCK_FORMATS, type QuantizedFormat } from '../../core/contract/quantized-formats.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import { significant } from '../model/figures.ts';
import type { MapCell } from '../model/layer-map.ts';
import { patternOfScope, withoutRule, type RuleScope } from '../model/recipe-edits.ts';
import { editRecipe } from '../state/recipe-store.ts';
import { Facts } from './facts.tsx';

interface RuleInspectorProps {
  cell: MapCell;
  recipe: Recipe | null;
  onPaint: (name: string, scope: Exclude<RuleScope, 'all'>, format: QuantizedFormat | 'skip') => void;
}

const SCOPES: readonly (readonly [Exclude<RuleScope, 'all'>, string])[] = [
  ['tensor', 'this matrix'],
  ['block', 'all of its block'],
  ['column', 'this kind in all blocks'],
];

/** Why a matrix becomes what it does, and a rule of one's own for it. */
export function RuleInspector({ cell, recipe, onPaint }: RuleInspectorProps): JSX.Element {
  const id = useId();
  const [scope, setScope] = useState<Exclude<RuleScope, 'all'>>('tensor');
  const [format, setFormat] = useState<QuantizedFormat>('q6_k');
  const [tensor] = cell.tensors;
  if (!tensor) return <p className="quiet">Nothing is selected.</p>;
  const match = patternOfScope(tensor.name, scope);
  const isQuantizing = recipe?.steps[0]?.step === 'quantize';
  const rule = recipe?.overrides.find((override) => override.match === match);
  return (
    <>
      <Facts
        facts={[
          ['becomes', cell.becomes],
          cell.bits === null ? null : ['bits a weight', significant(cell.bits), String(cell.bits)],
          ['from', tensor.dtype],
          ['shape', tensor.shape.join(' × ')],
          tensor.method === null ? null : ['method', tensor.method],
          ['decided by', tensor.rule],
          tensor.choices === undefined ? null : ['chosen from', tensor.choices.join(', ')],
        ]}
      />
      {isQuantizing && (
        <fieldset>
          <legend>A rule of your own</legend>
          <div className="field">
            <label htmlFor={`${id}-scope`}>For</label>
            <select
              id={`${id}-scope`}
              value={scope}
              onChange={({ target }) => setScope(target.value as Exclude<RuleScope, 'all'>)}
            >
              {SCOPES.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </div>
          <div className="field">
            <label htmlFor={`${id}-format`}>Format</label>
            <select
              id={`${id}-format`}
              value={format}
              onChange={({ target }) => setFormat(target.value as QuantizedFormat)}
            >
              {BLOCK_FORMATS.map((value) => (
                <option key={value}>{value}</option>
              ))}
            </select>
          </div>
          <p className="row">
            <button type="button" onClick={() => onPaint(tensor.name, scope, format)}>
              Set the rule
            </button>
            {rule !== undefined && (
              <button type="button" onClick={() => editRecipe((before) => withoutRule(before, match))}>
                Remove the rule
              </button>
            )}
          </p>
          <p className="mono quiet wrap">{match}</p>
        </fieldset>
      )}
    </>
  );
}
