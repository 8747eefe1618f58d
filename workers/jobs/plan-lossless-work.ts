import type { Recipe } from '../../core/contract/recipe.ts';
import { assertNever, UsageError } from '../../core/errors.ts';
import { planDfloat11Work } from '../../core/methods/lossless/dfloat11-work.ts';
import { planSplitPlaneWork } from '../../core/methods/lossless/split-plane-work.ts';
import type { LosslessWork, WorkContext } from '../../core/methods/lossless/work.ts';

/**
 * The work of a recipe. Nothing is read or written yet.
 *
 * @throws UsageError RECIPE_INVALID_PATTERN, RECIPE_INVALID_VALUE; ModelError MODEL_NAME_COLLISION
 */
export function planLosslessWork(context: WorkContext, recipe: Recipe): LosslessWork {
  const [step] = recipe.steps;
  if (!step) {
    throw new UsageError({ code: 'RECIPE_INVALID_VALUE', what: 'The recipe has no step.', whatToDo: 'Add one.' });
  }
  switch (step.codec) {
    case 'dfloat11':
      return planDfloat11Work(context, recipe, step);
    case 'split-plane':
      return planSplitPlaneWork(context, recipe, step);
    default:
      return assertNever(step, 'codec');
  }
}
