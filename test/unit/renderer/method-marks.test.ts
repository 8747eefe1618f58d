import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../../core/contract/parse-recipe.ts';
import type { Recipe } from '../../../core/contract/recipe.ts';
import { methodOf } from '../../../renderer/charts/method-marks.ts';
import { recipeOfRun } from '../../../renderer/model/recipe-of-run.ts';

const RULED = parseRecipe('lathe: 1\nsteps: [{ step: encode, codec: split-plane }]\n', 'r');
const [encode] = RULED.steps;

function withSteps(...steps: Recipe['steps']): Recipe {
  return { ...RULED, steps };
}

describe('methodOf', () => {
  it('takes the shape of the last lossy step, and a ring for coding on top', () => {
    expect(methodOf(RULED)).toEqual({ kind: 'lossless', isCoded: false });
    const quantize = { step: 'quantize', method: 'rtn', format: 'q4_0' } as const;
    expect(methodOf(withSteps(quantize))).toEqual({ kind: 'quantize', isCoded: false });
    expect(methodOf(withSteps(quantize, encode!))).toEqual({ kind: 'quantize', isCoded: true });
    const allocated = {
      ...quantize,
      format: undefined,
      allocation: { method: 'dp' as const, averageBits: 4, formats: [] },
    };
    expect(methodOf(withSteps(allocated)).kind).toBe('dp');
    expect(
      methodOf(withSteps({ ...allocated, allocation: { ...allocated.allocation, method: 'evopress' } })).kind,
    ).toBe('evolutionary');
  });
});

describe('recipeOfRun', () => {
  it('takes a recipe for one, and nothing else', () => {
    expect(recipeOfRun(RULED)).toBe(RULED);
    for (const other of [null, undefined, 'x', {}, { steps: 1 }, { steps: [1] }]) expect(recipeOfRun(other)).toBeNull();
  });
});
