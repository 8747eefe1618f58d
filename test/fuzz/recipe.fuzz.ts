import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { MAX_RECIPE_BYTES, parseRecipe } from '../../core/contract/parse-recipe.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz } from '../helpers/run-fuzz.ts';

const SOUND = {
  lathe: 1,
  name: 'größe',
  steps: [
    { step: 'encode', codec: 'dfloat11', units: { 'model\\.layers\\.\\d+': ['self_attn.q_proj', 'mlp.up_proj'] } },
  ],
  overrides: [{ match: 'lm_head|embed_tokens', skip: true }],
};
const YAML = `# a recipe
lathe: 1
name: &name "mine"
steps:
  - step: encode
    codec: dfloat11
    units:
      ? "model\\\\.layers"
      : [a, b]
overrides: [ { match: |-
    text
, skip: true } ]
`;

function makeRecipe(random: FuzzRandom): string {
  const value = random.once(3) ? SOUND : mutateValue(random, SOUND);
  const text = random.once(3) ? YAML : random.once(2) ? JSON.stringify(value) : stringify(value);
  const changed = random.once(2) ? new TextDecoder().decode(mutateBytes(random, new TextEncoder().encode(text))) : text;
  return changed.slice(0, MAX_RECIPE_BYTES);
}

function readRecipe(text: string): void {
  const recipe = parseRecipe(text, 'a.yaml');
  expect(parseRecipe(JSON.stringify(recipe), 'b.json')).toEqual(recipe);
}

test('recipes', async () => {
  const { outcomes } = await runFuzz(makeRecipe, readRecipe, (text) => JSON.stringify(text).slice(0, 8000));
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
