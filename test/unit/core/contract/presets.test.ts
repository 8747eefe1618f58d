import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseRecipe } from '../../../../core/contract/parse-recipe.ts';
import { fitRecipe, PRESETS } from '../../../../core/contract/presets.ts';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/recipes/', import.meta.url));

test.each([...PRESETS])('the preset %s is a recipe, and stands among the examples', (name, text) => {
  const needsText = text.includes('method: gptq');
  const recipe = parseRecipe(text, name, needsText ? ['some.txt'] : []);
  expect(recipe.steps).toHaveLength(1);
  expect(readFileSync(`${EXAMPLES}${name}.yaml`, 'utf8')).toBe(text);
  if (!needsText) return;
  expect(() => parseRecipe(text, name)).toThrow(/--calibration FILE/);
});

test('every example is a preset', () => {
  expect(readdirSync(EXAMPLES).sort()).toEqual([...PRESETS.keys()].map((name) => `${name}.yaml`).sort());
});

test('what fits is asked for in bytes', () => {
  const recipe = parseRecipe(fitRecipe(3 * 2 ** 30), '--fit', ['some.txt']);
  expect(recipe.steps[0]).toMatchObject({ allocation: { method: 'dp', totalBytes: 3 * 2 ** 30 } });
});
