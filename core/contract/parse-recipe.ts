import { isRecord } from '../is-record.ts';
import { parseDocument } from './parse-document.ts';
import { recipeSchema, type Recipe } from './recipe.ts';
import { recipeFault } from './unsupported-recipe.ts';

/** Room for 10,000 paths of experts; a larger file is something else given by mistake. */
export const MAX_RECIPE_BYTES = 512 << 10;

/**
 * Parses a recipe, YAML 1.2 or JSON, and checks it against its schema.
 *
 * @param text at most `MAX_RECIPE_BYTES`
 * @param calibrationTexts in place of those of the recipe, where there are any; as paths in it
 * @throws UsageError RECIPE_SYNTAX, RECIPE_UNKNOWN_KEY, RECIPE_INVALID_VALUE, RECIPE_NOT_SUPPORTED; `where` has line and
 *   column, counted from 1
 */
export function parseRecipe(text: string, file: string, calibrationTexts: readonly string[] = []): Recipe {
  const codes = {
    syntax: 'RECIPE_SYNTAX',
    unknownKey: 'RECIPE_UNKNOWN_KEY',
    invalidValue: 'RECIPE_INVALID_VALUE',
  } as const;
  return parseDocument(text, file, {
    noun: 'recipe',
    schema: recipeSchema,
    codes,
    amend: (value) => withCalibration(value, calibrationTexts),
    check: (recipe, failAt) => {
      const fault = recipeFault(recipe);
      if (fault !== null) throw failAt(fault.path, fault.code, fault.what, fault.whatToDo);
    },
  });
}

function withCalibration(value: unknown, texts: readonly string[]): unknown {
  if (texts.length === 0 || !isRecord(value)) return value;
  const { calibration } = value;
  // Its other settings stay; an importance matrix gives way.
  const settings = isRecord(calibration) && 'text' in calibration ? calibration : {};
  return { ...value, calibration: { ...settings, text: [...texts] } };
}
