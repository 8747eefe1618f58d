import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseRecipe } from '../../core/contract/parse-recipe.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import { parseLatheFile, writeLatheFile } from '../../core/contract/lathe-file.ts';
import { UsageError } from '../../core/errors.ts';
import { buildLatheContent, sha256OfText } from '../helpers/build-lathe-file.ts';

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
const pattern = fc.oneof(fc.constant('model\\.layers\\.\\d+'), text).filter((key) => key !== '__proto__');
const units = fc.oneof(
  fc.constant('auto' as const),
  fc.dictionary(pattern, fc.array(text, { maxLength: 4 }), { noNullPrototype: true }),
);
const step = fc.oneof(
  fc.record({ step: fc.constant('encode' as const), codec: fc.constant('dfloat11' as const), units }),
  fc.record({
    step: fc.constant('encode' as const),
    codec: fc.constant('split-plane' as const),
    coder: fc.constantFrom('smallest' as const, 'rans12x32' as const, 'huff12' as const, 'pal4' as const),
  }),
);
const recipes: fc.Arbitrary<Recipe> = fc
  .record({
    lathe: fc.constant(1 as const),
    name: fc.option(text, { nil: undefined }),
    steps: step.map((one) => [one]),
    overrides: fc.array(fc.record({ match: text, skip: fc.constant(true as const) }), { maxLength: 3 }),
  })
  .map(({ name, ...rest }) => (name === undefined ? rest : { ...rest, name }));

test('a recipe that is written as YAML or as JSON is read back the same', () => {
  fc.assert(
    fc.property(recipes, fc.nat(3), (recipe, indent) => {
      expect(parseRecipe(stringify(recipe), 'a.yaml')).toEqual(recipe);
      expect(parseRecipe(JSON.stringify(recipe, null, indent), 'a.json')).toEqual(recipe);
    }),
    { numRuns: 500 },
  );
});

test('a recipe goes through lathe.json unchanged', () => {
  fc.assert(
    fc.property(recipes, (recipe) => {
      const written = writeLatheFile({ ...buildLatheContent(), recipe }, sha256OfText);
      expect(parseLatheFile(written, 'lathe.json', sha256OfText).recipe).toEqual(recipe);
    }),
  );
});

test('a recipe text with a part cut out or doubled is a recipe or a UsageError with its line', () => {
  fc.assert(
    fc.property(recipes, fc.nat(), fc.nat(20), fc.boolean(), (recipe, at, length, isDoubled) => {
      const sound = stringify(recipe);
      const from = at % sound.length;
      const part = sound.slice(from, from + length);
      const changed = sound.slice(0, from) + (isDoubled ? part + part : '') + sound.slice(from + length);
      try {
        expect(parseRecipe(changed, 'a.yaml').lathe).toBe(1);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as UsageError).where.line).toBeGreaterThan(0);
      }
    }),
    { numRuns: 1000 },
  );
});
