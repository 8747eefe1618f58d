/** Edits of a checked recipe, as the form makes them. */
import type { QuantizeStep, Recipe } from '../../core/contract/recipe.ts';
import type { QuantizedFormat } from '../../core/contract/quantized-formats.ts';

/** What the form can say of the first step; other recipes are edited as text. */
export type StepKind = 'dfloat11' | 'split-plane' | 'format' | 'allocation';

export const ALLOCATED_FORMATS: readonly QuantizedFormat[] = ['q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k', 'q8_0'];

export function stepKindOf({ steps }: Recipe): StepKind | null {
  const [step] = steps;
  if (steps.length !== 1 || !step) return null;
  if (step.step === 'encode') return step.codec;
  if (step.step !== 'quantize') return null;
  return step.allocation === undefined ? 'format' : 'allocation';
}

export function withStepKind(recipe: Recipe, kind: StepKind): Recipe {
  if (kind === stepKindOf(recipe)) return recipe;
  const { name: _, ...rest } = recipe;
  const quantized = recipe.steps[0]?.step === 'quantize' ? recipe.steps[0] : undefined;
  switch (kind) {
    case 'dfloat11':
      // Overrides by formats mean nothing to lossless codecs.
      return { ...rest, overrides: onlySkips(recipe), steps: [{ step: 'encode', codec: 'dfloat11', units: 'auto' }] };
    case 'split-plane':
      return { ...rest, overrides: [], steps: [{ step: 'encode', codec: 'split-plane', coder: 'smallest' }] };
    case 'format':
      return { ...rest, steps: [{ step: 'quantize', method: quantized?.method ?? 'rtn', format: 'q4_k_m' }] };
    case 'allocation':
      return {
        ...rest,
        steps: [
          {
            step: 'quantize',
            method: quantized?.method ?? 'gptq',
            allocation: { method: 'dp', averageBits: 4.5, formats: [...ALLOCATED_FORMATS] },
          },
        ],
      };
  }
}

function onlySkips({ overrides }: Recipe): Recipe['overrides'] {
  return overrides.filter(({ skip }) => skip === true);
}

/** A change of the quantize step; any other recipe stays as it is. */
export function withQuantize(recipe: Recipe, changeStep: (step: QuantizeStep) => QuantizeStep): Recipe {
  const { name: _, ...rest } = recipe;
  return { ...rest, steps: recipe.steps.map((step) => (step.step === 'quantize' ? changeStep(step) : step)) };
}

export function withFormat(recipe: Recipe, format: QuantizedFormat): Recipe {
  return withQuantize(recipe, ({ allocation: _, ...step }) => ({ ...step, format }));
}

export function withMethod(recipe: Recipe, method: QuantizeStep['method']): Recipe {
  return withQuantize(recipe, (step) => ({ ...step, method }));
}

export function withBudget(recipe: Recipe, budget: { averageBits: number } | { totalBytes: number }): Recipe {
  return withQuantize(recipe, (step) => {
    const { method = 'dp', formats = [...ALLOCATED_FORMATS] } = step.allocation ?? {};
    return { ...step, allocation: { method, ...budget, formats } };
  });
}

export function withCalibrationTexts(recipe: Recipe, texts: readonly string[]): Recipe {
  const { calibration, ...rest } = recipe;
  if (texts.length === 0) return rest;
  const settings =
    calibration !== undefined && 'text' in calibration ? calibration : { sequences: 64, sequenceLength: 256, seed: 0 };
  return { ...rest, calibration: { ...settings, text: [...texts] } };
}

export interface EvaluateEdit {
  texts: readonly string[];
  limitTokens: number | null;
}

export function withEvaluation(recipe: Recipe, { texts, limitTokens }: EvaluateEdit): Recipe {
  const { evaluate, limits, ...rest } = recipe;
  // Limits need something that is measured.
  if (texts.length === 0) return rest;
  const { context = 256 } = evaluate ?? {};
  return {
    ...rest,
    evaluate: { text: [...texts], context, ...(limitTokens === null ? {} : { limitTokens }), reference: 'source' },
    ...(limits === undefined ? {} : { limits }),
  };
}

export function withLimits(recipe: Recipe, limits: { perplexityIncrease?: number; klDivergence?: number }): Recipe {
  const { limits: _, ...rest } = recipe;
  return Object.keys(limits).length === 0 ? rest : { ...rest, limits };
}

/** Which tensors a rule painted on the map is for. */
export type RuleScope = 'tensor' | 'block' | 'column' | 'all';

/** A pattern that only the names of that scope match. */
export function patternOfScope(name: string, scope: Exclude<RuleScope, 'all'>): string {
  const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const place = /^(.*\.)(\d+)(\..*)$/.exec(name);
  if (place === null || scope === 'tensor') return `^${escaped(name)}$`;
  const [, before = '', block = '', after = ''] = place;
  return scope === 'block' ? `^${escaped(before)}${block}\\.` : `${escaped(after)}$`;
}

/** The last match wins, so a rule of the same pattern gives way to the new one at the end. */
export function withRule(recipe: Recipe, match: string, format: QuantizedFormat | 'skip'): Recipe {
  const others = recipe.overrides.filter((override) => override.match !== match);
  const rule = format === 'skip' ? { match, skip: true as const } : { match, quantize: { format } };
  return { ...recipe, overrides: [...others, rule] };
}

export function withoutRule(recipe: Recipe, match: string): Recipe {
  return { ...recipe, overrides: recipe.overrides.filter((override) => override.match !== match) };
}
