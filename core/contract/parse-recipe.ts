import { parseDocument, type FailAt } from './parse-document.ts';
import { LATER_KEYS, LATER_STEPS, recipeSchema, type Recipe } from './recipe.ts';

/** Room for 10,000 paths of experts; a larger file is something else given by mistake. */
export const MAX_RECIPE_BYTES = 512 << 10;

/**
 * Parses a recipe, YAML 1.2 or JSON, and checks it against its schema.
 *
 * @param text at most `MAX_RECIPE_BYTES`
 * @throws UsageError RECIPE_SYNTAX, RECIPE_UNKNOWN_KEY, RECIPE_INVALID_VALUE, RECIPE_NOT_SUPPORTED; `where` has line and
 *   column, counted from 1
 */
export function parseRecipe(text: string, file: string): Recipe {
  const codes = {
    syntax: 'RECIPE_SYNTAX',
    unknownKey: 'RECIPE_UNKNOWN_KEY',
    invalidValue: 'RECIPE_INVALID_VALUE',
  } as const;
  return parseDocument(text, file, { noun: 'recipe', schema: recipeSchema, codes, refuse: refuseWhatComesLater });
}

function refuseWhatComesLater(value: unknown, failAt: FailAt): void {
  if (typeof value !== 'object' || value === null) return;
  const recipe = value as Record<string, unknown>;
  for (const key of LATER_KEYS) {
    if (Object.hasOwn(recipe, key)) {
      throw failAt([key], 'RECIPE_NOT_SUPPORTED', `"${key}" is not supported by this release`, 'Remove it.');
    }
  }
  const steps = recipe['steps'];
  if (!Array.isArray(steps)) return;
  for (const [index, step] of (steps as unknown[]).entries()) {
    const kind = typeof step === 'object' && step !== null ? (step as Record<string, unknown>)['step'] : undefined;
    if (typeof kind === 'string' && LATER_STEPS.includes(kind)) {
      const what = `the step "${kind}" is not supported by this release`;
      throw failAt(['steps', index, 'step'], 'RECIPE_NOT_SUPPORTED', what, 'Use one step "encode".');
    }
  }
}
