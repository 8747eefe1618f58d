/** From a recipe's quantize step to what each tensor of a GGUF file becomes, and why. */
import { mixOfFormat } from '../../contract/quantized-formats.ts';
import type { QuantizeStep, Recipe } from '../../contract/recipe.ts';
import type { GgmlType } from '../../kernels/kernels.ts';
import { quoted } from '../../quoted.ts';
import { matchOverrides, type MatchedOverride } from '../match-overrides.ts';
import { fittingType, typeInMix, type ChosenType, type MixFacts } from './gguf-types.ts';
import type { GgufCandidate, GgufLayout } from './plan-gguf-export.ts';

/** What a recipe says of a tensor. */
export interface ResolvedTensor {
  candidate: GgufCandidate;
  /** What it may become, no type twice; one unless an allocation is to choose. */
  choices: readonly ChosenType[];
  /** How its weights are rounded; null for one that stays as it is. */
  method: 'rtn' | 'gptq' | null;
  /** For people: which part of the recipe, or of the format, decided. */
  rule: string;
  /** Whether the step touches it: an allocation's `averageBits` counts it. */
  isTouched: boolean;
}

export interface ResolvedFormats {
  /** In the order of the file. */
  tensors: ResolvedTensor[];
  notes: string[];
}

/**
 * What a quantize step and the overrides make of each tensor. The last override that matches wins; vectors always stay
 * numbers of single precision, as llama.cpp wants them.
 *
 * @param hasImportance whether columns are weighted: some mixes then choose other types, as llama.cpp's do
 * @throws as `matchOverrides`
 */
export function resolveFormats(
  { tensors, facts }: GgufLayout,
  step: QuantizeStep,
  recipe: Pick<Recipe, 'overrides'>,
  hasImportance: boolean,
): ResolvedFormats {
  const { byName, notes } = matchOverrides(
    recipe,
    tensors.map(({ canonicalName }) => canonicalName),
  );
  const mixFacts = { ...facts, hasImportance };
  const resolved = tensors.map((candidate): ResolvedTensor => {
    const matched = byName.get(candidate.canonicalName);
    if (candidate.shape.length < 2) {
      const rule = 'vectors stay in single precision';
      return { candidate, choices: [PLAIN], method: null, rule, isTouched: false };
    }
    return byOverride(candidate, matched, step, mixFacts) ?? byStep(candidate, step, mixFacts);
  });
  return { tensors: resolved, notes: [...notes, ...vectorNotes(tensors, byName)] };
}

/** Overrides that would quantize nothing but vectors. */
function vectorNotes(tensors: readonly GgufCandidate[], byName: ReadonlyMap<string, MatchedOverride>): string[] {
  const matched = new Map<number, { match: string; hasMatrix: boolean }>();
  for (const { canonicalName, shape } of tensors) {
    const found = byName.get(canonicalName);
    if (found?.override.quantize === undefined) continue;
    const known = matched.get(found.index) ?? { match: found.override.match, hasMatrix: false };
    matched.set(found.index, { ...known, hasMatrix: known.hasMatrix || shape.length > 1 });
  }
  return [...matched.values()]
    .filter(({ hasMatrix }) => !hasMatrix)
    .map(({ match }) => `The override ${quoted(match)} decides over vectors only, which stay in single precision.`);
}

const PLAIN: ChosenType = { type: 'F32', insteadOf: null };

function byOverride(
  candidate: GgufCandidate,
  matched: MatchedOverride | undefined,
  step: QuantizeStep,
  facts: MixFacts,
): ResolvedTensor | null {
  if (matched === undefined) return null;
  const { override, index } = matched;
  const rule = `override ${index + 1}, "${override.match}"`;
  if (override.skip === true) return untouched(candidate, rule);
  const { format, method } = override.quantize ?? {};
  const how = methodOf(method ?? step.method);
  if (format !== undefined) {
    const choices = [fittingType(typeOf(format), candidate.shape)];
    return { candidate, choices, method: how, rule, isTouched: true };
  }
  const resolved = byStep(candidate, step, facts);
  // Another method makes no tensor one that the step touches.
  return resolved.isTouched ? { ...resolved, method: how, rule: `${resolved.rule}; ${rule}` } : null;
}

function byStep(candidate: GgufCandidate, step: QuantizeStep, facts: MixFacts): ResolvedTensor {
  const { format, allocation, include = ['blocks'] } = step;
  const how = methodOf(step.method);
  const mix = format === undefined ? null : mixOfFormat(format);
  if (mix !== null) {
    const choices = [typeInMix(candidate, mix, facts)];
    return { candidate, choices, method: how, rule: `step 1, the mix ${format ?? ''}`, isTouched: true };
  }
  if (!include.some((kind) => kindsOf(candidate, facts.isTied).includes(kind))) {
    return untouched(candidate, `step 1 includes ${include.join(', ')} only`);
  }
  if (allocation === undefined) {
    const choices = [fittingType(typeOf(format ?? 'f32'), candidate.shape)];
    return { candidate, choices, method: how, rule: 'step 1', isTouched: true };
  }
  const choices = new Map<GgmlType, ChosenType>();
  for (const one of allocation.formats) {
    const choice = fittingType(typeOf(one), candidate.shape);
    const known = choices.get(choice.type);
    if (known === undefined || choice.insteadOf === null) choices.set(choice.type, choice);
  }
  const rule = `step 1, chosen by allocation (${allocation.method})`;
  return { candidate, choices: [...choices.values()], method: how, rule, isTouched: true };
}

function untouched(candidate: GgufCandidate, rule: string): ResolvedTensor {
  const choices = [{ type: candidate.source.type, insteadOf: null }];
  return { candidate, choices, method: null, rule, isTouched: false };
}

/** Only what `recipeFault` lets pass comes here. */
function methodOf(method: QuantizeStep['method']): 'rtn' | 'gptq' {
  return method === 'gptq' ? 'gptq' : 'rtn';
}

function typeOf(format: string): GgmlType {
  return format.toUpperCase() as GgmlType;
}

/** A tied embedding is the head too. */
function kindsOf({ layer, module }: GgufCandidate, isTied: boolean): string[] {
  if (layer !== null) return ['blocks'];
  if (module === 'output') return ['head'];
  if (module !== 'token_embd') return ['embeddings'];
  return isTied ? ['embeddings', 'head'] : ['embeddings'];
}
