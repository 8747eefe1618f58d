import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import type { WorkContext } from '../../core/methods/lossless/work.ts';
import { UsageError } from '../../core/errors.ts';
import { requireSupported } from '../../core/contract/unsupported-recipe.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import type { AllocationTools } from './allocate-formats.ts';
import type { Compression } from './compression.ts';
import { requireSource, type QuantizableModel } from './open-source.ts';
import { planLossless } from './plan-lossless.ts';
import { planQuantized } from './plan-quantized.ts';
import type { RecipeInputs } from './recipe-inputs.ts';

/** How a compression calls the world, and where its output grows. */
export type OutputContext = Omit<WorkContext, 'model'> & { kernels: QuantizeKernels };

/**
 * What a recipe does to a model, planned from headers; nothing is written.
 *
 * @throws UsageError RECIPE_NOT_SUPPORTED, RECIPE_INVALID_VALUE; ModelError MODEL_ALREADY_COMPRESSED for a lossless codec on a
 * GGUF file; as `planLossless` and `planQuantized`
 */
export async function planCompression(
  context: OutputContext,
  model: QuantizableModel,
  options: CompressOptions,
  inputs: RecipeInputs,
  tools: AllocationTools,
): Promise<Compression> {
  const { recipe } = options;
  requireSupported(recipe);
  const [step] = recipe.steps;
  switch (step?.step) {
    case 'encode':
      return planLossless({ ...context, model: requireSource(model, options.model) }, recipe, step, options.threads);
    case 'quantize':
      return planQuantized({ context, model, recipe, step, options, inputs, tools });
    default:
      throw new UsageError({ code: 'RECIPE_INVALID_VALUE', what: 'The recipe has no step.', whatToDo: 'Add one.' });
  }
}
