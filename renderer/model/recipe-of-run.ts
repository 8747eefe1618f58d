import type { Recipe } from '../../core/contract/recipe.ts';

/** The recipe among the options that a run's journal kept; null where another version kept something else. */
export function recipeOfRun(kept: unknown): Recipe | null {
  if (typeof kept !== 'object' || kept === null || !('steps' in kept) || !Array.isArray(kept.steps)) return null;
  const areSteps = kept.steps.every((step) => typeof step === 'object' && step !== null && 'step' in step);
  return areSteps ? (kept as Recipe) : null;
}
