import { describe, expect, test } from 'vitest';
import { recipeSchema } from '../../../../core/contract/recipe.ts';

const STEP = { step: 'encode', codec: 'dfloat11' };

test('fills in every default', () => {
  expect(recipeSchema.parse({ lathe: 1, steps: [STEP] })).toEqual({
    lathe: 1,
    steps: [{ ...STEP, units: 'auto' }],
    overrides: [],
  });
  expect(recipeSchema.parse({ lathe: 1, steps: [{ step: 'encode', codec: 'split-plane' }] }).steps).toEqual([
    { step: 'encode', codec: 'split-plane', coder: 'smallest' },
  ]);
});

test('takes units as patterns with paths, and overrides that skip', () => {
  const recipe = {
    lathe: 1,
    name: 'mine',
    steps: [{ ...STEP, units: { 'model\\.layers\\.\\d+': ['mlp.up_proj'], lm_head: [] } }],
    overrides: [{ match: 'lm_head', skip: true }],
  };
  expect(recipeSchema.parse(recipe)).toEqual(recipe);
});

describe('refuses', () => {
  test.each([
    ['another version', { lathe: 2, steps: [STEP] }],
    ['no step', { lathe: 1, steps: [] }],
    ['an unknown codec', { lathe: 1, steps: [{ step: 'encode', codec: 'zip' }] }],
    ['an unknown key', { lathe: 1, steps: [STEP], nam: '' }],
    ['an unknown key of a step', { lathe: 1, steps: [{ ...STEP, coder: 'huff12' }] }],
    ['units that are a list', { lathe: 1, steps: [{ ...STEP, units: ['a'] }] }],
    ['units with an empty pattern', { lathe: 1, steps: [{ ...STEP, units: { '': [] } }] }],
    ['units with an empty path', { lathe: 1, steps: [{ ...STEP, units: { a: [''] } }] }],
    ['a pattern of 1,001 characters', { lathe: 1, steps: [{ ...STEP, units: { ['a'.repeat(1001)]: [] } }] }],
    ['10,001 paths', { lathe: 1, steps: [{ ...STEP, units: { a: Array(10_001).fill('b') } }] }],
    ['an override that does nothing', { lathe: 1, steps: [STEP], overrides: [{ match: 'a' }] }],
    ['an override that does not skip', { lathe: 1, steps: [STEP], overrides: [{ match: 'a', skip: false }] }],
    ['a name of 201 characters', { lathe: 1, name: 'a'.repeat(201), steps: [STEP] }],
  ])('%s', (_, recipe) => {
    expect(recipeSchema.safeParse(recipe).success).toBe(false);
  });
});
