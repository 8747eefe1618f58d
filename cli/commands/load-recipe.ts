import { MAX_RECIPE_BYTES, parseRecipe } from '../../core/contract/parse-recipe.ts';
import { PRESETS } from '../../core/contract/presets.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import { formatAlternatives, invalidArgument } from '../flag-values.ts';
import type { RecipeChoice } from '../invocation.ts';
import { readTextFile } from './read-text-file.ts';

/**
 * Reads and checks the recipe that was chosen.
 *
 * @throws UsageError RECIPE_NOT_FOUND, USAGE_INVALID_ARGUMENT (no such preset), and those of `parseRecipe`
 * @throws ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function loadRecipe(choice: RecipeChoice): Promise<Recipe> {
  if (choice.kind === 'file') return readRecipe(choice.path);
  const text = PRESETS.get(choice.name);
  if (text === undefined) {
    throw invalidArgument(
      `"${choice.name}" is not a preset.`,
      `Write --preset ${formatAlternatives([...PRESETS.keys()])}.`,
    );
  }
  return parseRecipe(text, `preset ${choice.name}`);
}

/**
 * Reads and checks a recipe file.
 *
 * @throws UsageError RECIPE_NOT_FOUND, and those of `parseRecipe`; ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const codes = { notFound: 'RECIPE_NOT_FOUND', syntax: 'RECIPE_SYNTAX' } as const;
  return parseRecipe(await readTextFile(path, { noun: 'recipe', maxBytes: MAX_RECIPE_BYTES, codes }), path);
}
