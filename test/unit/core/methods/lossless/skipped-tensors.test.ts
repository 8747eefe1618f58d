import { expect, test } from 'vitest';
import { recipeSchema } from '../../../../../core/contract/recipe.ts';
import { skippedTensors } from '../../../../../core/methods/lossless/skipped-tensors.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

const NAMES = ['model.embed_tokens.weight', 'model.layers.0.mlp.up_proj.weight', 'lm_head.weight'];

function skipped(...matches: string[]) {
  const overrides = matches.map((match) => ({ match, skip: true }));
  const recipe = recipeSchema.parse({ lathe: 1, steps: [{ step: 'encode', codec: 'dfloat11' }], overrides });
  return skippedTensors(recipe, NAMES);
}

test('a pattern is searched in the name', () => {
  expect([...skipped('lm_head|embed_tokens').skip]).toEqual(['model.embed_tokens.weight', 'lm_head.weight']);
  expect([...skipped('layers\\.0\\.', '^lm_head').skip]).toEqual(NAMES.slice(1));
  expect(skipped('.')).toEqual({ skip: new Set(NAMES), notes: [] });
});

test('an override that matches nothing is told', () => {
  expect(skipped('lm_head$')).toEqual({
    skip: new Set(),
    notes: ['The override "lm_head$" matches no tensor of this model.'],
  });
});

test('what is no regular expression is refused', async () => {
  const error = await errorOf(() => skipped('lm_head('));
  expect(error.code).toBe('RECIPE_INVALID_PATTERN');
  expect(error.what).toContain('"lm_head("');
});
