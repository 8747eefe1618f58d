import { describe, expect, it } from 'vitest';
import { planBatch, type NamedRecipe } from '../../../../core/contract/batch-plan.ts';
import { recipeSchema } from '../../../../core/contract/recipe.ts';

function recipe(file: string): NamedRecipe {
  return {
    file,
    folder: '/r',
    recipe: recipeSchema.parse({ lathe: 1, steps: [{ step: 'encode', codec: 'split-plane' }] }),
  };
}

describe('planBatch', () => {
  it('runs every recipe on every model, each into a folder of its own', () => {
    const jobs = planBatch(['/m/a', '/m/b/'], [recipe('/r/q4.yaml'), recipe('/r/small.v2.json')], '/out');
    expect(jobs.map(({ name, output }) => [name, output])).toEqual([
      ['a/q4', '/out/a/q4'],
      ['a/small.v2', '/out/a/small.v2'],
      ['b/q4', '/out/b/q4'],
      ['b/small.v2', '/out/b/small.v2'],
    ]);
  });

  it('keeps names without an ending, and hidden ones', () => {
    const jobs = planBatch(['/m/a'], [recipe('/r/plain'), recipe('/r/.hidden')], '/out');
    expect(jobs.map(({ name }) => name)).toEqual(['a/plain', 'a/.hidden']);
  });

  it.each([
    [['/x/model', '/y/Model'], ['/r/q.yaml'], /"\/x\/model" and "\/y\/Model"/],
    [['/x/model'], ['/r/q.yaml', '/s/q.json'], /"\/r\/q.yaml" and "\/s\/q.json"/],
    [['/x/model', '/x/model'], ['/r/q.yaml'], /would both be written to "\/out\/model\/q"/],
  ])('refuses two jobs of one output: %j with %j', (models, recipes, message) => {
    const plan = () => planBatch(models, recipes.map(recipe), '/out');
    expect(plan).toThrow(expect.objectContaining({ code: 'USAGE_INVALID_ARGUMENT' }));
    expect(plan).toThrow(message);
  });

  it('refuses more jobs than a queue can hold', () => {
    const models = Array.from({ length: 501 }, (_, index) => `/m/${index}`);
    expect(planBatch(models.slice(1), ['/r/a', '/r/b'].map(recipe), '/out')).toHaveLength(1000);
    expect(() => planBatch(models, ['/r/a', '/r/b'].map(recipe), '/out')).toThrow(
      expect.objectContaining({ code: 'BATCH_INVALID_VALUE' }),
    );
  });
});
