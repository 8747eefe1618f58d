import type { ExplainedTensor, ExplainResult } from '../../core/contract/explain-result.ts';
import type { EncodeDfloat11Step, EncodeSplitPlaneStep, QuantizeStep, Recipe } from '../../core/contract/recipe.ts';
import { requireSupported } from '../../core/contract/unsupported-recipe.ts';
import { UsageError } from '../../core/errors.ts';
import { planUnits } from '../../core/formats/dfloat11/plan-units.ts';
import { layOutGguf } from '../../core/methods/gguf/plan-gguf-export.ts';
import { layOutFromGguf } from '../../core/methods/gguf/requantize-layout.ts';
import { resolveFormats } from '../../core/methods/gguf/resolve-formats.ts';
import { skippedTensors } from '../../core/methods/lossless/skipped-tensors.ts';
import { matchOverrides } from '../../core/methods/match-overrides.ts';
import type { ModelTensor, SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { ExplainOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { openQuantizable, requireSource, type QuantizableModel } from './open-source.ts';

interface Explanation {
  tensors: ExplainedTensor[];
  notes: string[];
}

/**
 * What a recipe makes of each tensor of a model, and which rule decided; from headers alone.
 *
 * @throws UsageError RECIPE_NOT_SUPPORTED, RECIPE_INVALID_VALUE, RECIPE_INVALID_PATTERN, USAGE_INVALID_ARGUMENT for a pattern
 * that no tensor matches; as `openSource`
 */
export async function explainJob({ model: path, recipe, tensor: pattern }: ExplainOptions): Promise<ExplainResult> {
  requireSupported(recipe);
  const model = await openQuantizable(path);
  const { tensors, notes } = await explain(model, recipe, path);
  return { schema: 1, model: path, recipe, tensors: pattern === null ? tensors : matching(tensors, pattern), notes };
}

async function explain(model: QuantizableModel, recipe: Recipe, path: string): Promise<Explanation> {
  const [step] = recipe.steps;
  if (step?.step === 'quantize') return explainQuantized(model, recipe, step);
  if (step?.step !== 'encode') return { tensors: [], notes: [] };
  const source = requireSource(model, path);
  return step.codec === 'dfloat11' ? explainDfloat11(source, recipe, step) : explainSplitPlane(source, recipe, step);
}

async function explainQuantized(model: QuantizableModel, recipe: Recipe, step: QuantizeStep): Promise<Explanation> {
  const layout = model.kind === 'gguf' ? await layOutFromGguf(model, nodeFileAccess) : layOutGguf(model);
  const { tensors, notes } = resolveFormats(layout, step, recipe, recipe.calibration !== undefined);
  return {
    notes: [...layout.keys.notes, ...notes],
    tensors: tensors.map(({ candidate, choices, method, rule }) => {
      const types = choices.map(({ type }) => type);
      const [only] = choices;
      const instead =
        only === undefined || only.insteadOf === null ? '' : `; rows are no whole blocks of ${only.insteadOf}`;
      return {
        name: candidate.canonicalName,
        shape: candidate.shape,
        dtype: candidate.source.type,
        becomes: types.length === 1 ? (types[0] ?? '') : 'allocated',
        ...(types.length === 1 ? {} : { choices: types }),
        method,
        rule: types.length === 1 ? `${rule}${instead}` : rule,
      };
    }),
  };
}

function explainDfloat11(model: SafetensorsModel, recipe: Recipe, { units }: EncodeDfloat11Step): Explanation {
  const names = model.tensors.map(({ name }) => name);
  const { skip, notes } = skippedTensors(recipe, names);
  const plan = planUnits(model.tensors, { units, skip, tiedEmbeddings: model.tiedEmbeddings });
  const unitOf = new Map(
    plan.units.flatMap(({ module, tensors }) => tensors.map(({ name }) => [name, module] as const)),
  );
  return plain(model, recipe, [...notes, ...plan.notes], ({ name, dtype }) => {
    const unit = unitOf.get(name);
    if (unit !== undefined) return { becomes: 'dfloat11', rule: `step 1, in the unit ${quoted(unit)}` };
    const why = dtype === 'BF16' ? 'no matrix of a unit' : `DFloat11 holds BF16 only, this is ${dtype}`;
    return { becomes: dtype, rule: why };
  });
}

function explainSplitPlane(model: SafetensorsModel, recipe: Recipe, { coder }: EncodeSplitPlaneStep): Explanation {
  return plain(model, recipe, [], () => ({ becomes: 'split-plane', rule: `step 1, coder ${coder}` }));
}

/** Of lossless codecs: overrides skip, everything else is the codec's. */
function plain(
  model: SafetensorsModel,
  recipe: Recipe,
  notes: string[],
  explainOne: (tensor: ModelTensor) => { becomes: string; rule: string },
): Explanation {
  const matched = matchOverrides(
    recipe,
    model.tensors.map(({ name }) => name),
  );
  return {
    notes: [...new Set([...matched.notes, ...notes])],
    tensors: model.tensors.map((tensor) => {
      const { name, shape, dtype } = tensor;
      const override = matched.byName.get(name);
      const isSkipped = override?.override.skip === true;
      const skipped = {
        becomes: dtype,
        rule: `override ${(override?.index ?? 0) + 1}, ${quoted(override?.override.match ?? '')}`,
      };
      return { name, shape, dtype, method: null, ...(isSkipped ? skipped : explainOne(tensor)) };
    }),
  };
}

/** Those whose name is the pattern, or else in which it is found. */
function matching(tensors: readonly ExplainedTensor[], pattern: string): ExplainedTensor[] {
  const exact = tensors.filter(({ name }) => name === pattern);
  if (exact.length > 0) return exact;
  const found = tensors.filter(({ name }) => compile(pattern).test(name));
  if (found.length > 0) return found;
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `No tensor of this model is called ${quoted(pattern)}, or matches it.`,
    whatToDo: 'See "lathe inspect MODEL" for the names.',
  });
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new UsageError({
      code: 'USAGE_INVALID_ARGUMENT',
      what: `${quoted(pattern)} is neither a tensor's name nor a regular expression.`,
      whatToDo: 'Correct --tensor.',
      cause,
    });
  }
}
