import { expect, test } from 'vitest';
import { parseRecipe } from '../../../../core/contract/parse-recipe.ts';
import { PRESETS } from '../../../../core/contract/presets.ts';

test.each([...PRESETS])('the preset %s is a recipe of the codec that it is named for', (name, text) => {
  const recipe = parseRecipe(text, name);
  expect(`lossless-${recipe.steps[0]!.codec}`).toBe(name);
});
