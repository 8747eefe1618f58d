import { dirname, relative, resolve } from 'node:path';
import { MAX_RECIPE_BYTES, parseRecipe } from '../../core/contract/parse-recipe.ts';
import { fitRecipe, PRESETS } from '../../core/contract/presets.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import { nearestName } from '../../core/contract/nearest-name.ts';
import { formatAlternatives, invalidArgument } from '../flag-values.ts';
import type { RecipeChoice } from '../invocation.ts';
import { readTextFile } from './read-text-file.ts';

export interface LoadedRecipe {
  recipe: Recipe;
  /** Absolute: what its paths are relative to. */
  recipeFolder: string;
}

/**
 * Reads and checks the recipe that was chosen.
 *
 * @throws UsageError RECIPE_NOT_FOUND, USAGE_INVALID_ARGUMENT (no such preset), and those of `parseRecipe`
 * @throws ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function loadRecipe(choice: RecipeChoice): Promise<LoadedRecipe> {
  const { calibrationTexts } = choice;
  switch (choice.kind) {
    case 'file':
      return readRecipe(choice.path, calibrationTexts);
    case 'fit':
      return parsed(fitRecipe(choice.totalBytes), '--fit', process.cwd(), calibrationTexts);
    case 'preset': {
      const { name } = choice;
      const text = PRESETS.get(name);
      if (text === undefined) throw unknownPreset(name);
      return parsed(text, `preset ${name}`, process.cwd(), calibrationTexts);
    }
  }
}

/**
 * Reads and checks a recipe file.
 *
 * @throws UsageError RECIPE_NOT_FOUND, and those of `parseRecipe`; ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function readRecipe(path: string, calibrationTexts: readonly string[] = []): Promise<LoadedRecipe> {
  const codes = { notFound: 'RECIPE_NOT_FOUND', syntax: 'RECIPE_SYNTAX' } as const;
  const text = await readTextFile(path, { noun: 'recipe', maxBytes: MAX_RECIPE_BYTES, codes });
  return parsed(text, path, dirname(resolve(path)), calibrationTexts);
}

/** @param calibrationTexts relative to the current folder, as they were typed */
function parsed(text: string, file: string, recipeFolder: string, calibrationTexts: readonly string[]): LoadedRecipe {
  const texts = calibrationTexts.map((path) => relative(recipeFolder, resolve(path)).replaceAll('\\', '/'));
  return { recipe: parseRecipe(text, file, texts), recipeFolder };
}

function unknownPreset(name: string) {
  const names = [...PRESETS.keys()];
  const nearest = nearestName(name, names);
  const all = `Write --preset ${formatAlternatives(names)}.`;
  return invalidArgument(`"${name}" is not a preset.`, nearest === null ? all : `Write --preset ${nearest}.`);
}
