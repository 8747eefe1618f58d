import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../../core/contract/parse-recipe.ts';
import {
  patternOfScope,
  stepKindOf,
  withBudget,
  withCalibrationTexts,
  withEvaluation,
  withFormat,
  withLimits,
  withoutRule,
  withRule,
  withStepKind,
} from '../../../renderer/model/recipe-edits.ts';
import { writeRecipe } from '../../../renderer/model/write-recipe.ts';

const Q4 = parseRecipe('lathe: 1\nname: q4\nsteps: [{ step: quantize, format: q4_k_m }]\n', 'r');
const check = (recipe: typeof Q4) => parseRecipe(writeRecipe(recipe), 'r');
const NAME = 'model.layers.3.mlp.down_proj.weight';

describe('recipe edits', () => {
  it('changes what the step does, into recipes that can be run', () => {
    for (const kind of ['split-plane', 'dfloat11', 'format'] as const) {
      expect(stepKindOf(check(withStepKind(Q4, kind)))).toBe(kind);
    }
    const shown = withCalibrationTexts(Q4, ['a.txt']);
    expect(stepKindOf(check(withStepKind(shown, 'allocation')))).toBe('allocation');
    expect(withStepKind(Q4, 'format')).toBe(Q4);
  });

  it('drops the name where the recipe is another one now', () => {
    expect(withFormat(Q4, 'q6_k').name).toBeUndefined();
  });

  it('sets a budget in bits or bytes, never both', () => {
    const allocated = withStepKind(withCalibrationTexts(Q4, ['a.txt']), 'allocation');
    expect(check(withBudget(allocated, { totalBytes: 5_000_000 })).steps[0]).toMatchObject({
      allocation: { totalBytes: 5_000_000 },
    });
    expect(check(withBudget(allocated, { averageBits: 5 })).steps[0]).toMatchObject({ allocation: { averageBits: 5 } });
  });

  it('measures, and takes limits away with what they need', () => {
    const measured = withLimits(withEvaluation(Q4, { texts: ['t.txt'], limitTokens: 512 }), { klDivergence: 0.01 });
    expect(check(measured)).toMatchObject({
      evaluate: { text: ['t.txt'], limitTokens: 512 },
      limits: { klDivergence: 0.01 },
    });
    const unmeasured = withEvaluation(measured, { texts: [], limitTokens: null });
    expect(unmeasured).not.toHaveProperty('evaluate');
    expect(unmeasured).not.toHaveProperty('limits');
  });

  it('keeps the other settings of a calibration', () => {
    const shown = withCalibrationTexts(Q4, ['a.txt']);
    const more = { ...shown, calibration: { text: ['a.txt'], sequences: 8, sequenceLength: 64, seed: 3 } };
    expect(withCalibrationTexts(more, ['b.txt']).calibration).toEqual({ ...more.calibration, text: ['b.txt'] });
    expect(withCalibrationTexts(more, [])).not.toHaveProperty('calibration');
  });

  it('paints rules that match their scope and nothing else', () => {
    const matches = (scope: 'tensor' | 'block' | 'column', name: string) =>
      new RegExp(patternOfScope(NAME, scope)).test(name);
    expect(matches('tensor', NAME)).toBe(true);
    expect(matches('tensor', NAME.replace('.3.', '.13.'))).toBe(false);
    expect(matches('block', 'model.layers.3.self_attn.q_proj.weight')).toBe(true);
    expect(matches('block', 'model.layers.33.self_attn.q_proj.weight')).toBe(false);
    expect(matches('column', NAME.replace('.3.', '.13.'))).toBe(true);
    expect(matches('column', 'model.layers.3.mlp.up_proj.weight')).toBe(false);
  });

  it('lets the newest rule of a pattern win, and takes it away again', () => {
    const pattern = patternOfScope(NAME, 'tensor');
    const painted = withRule(withRule(Q4, pattern, 'q6_k'), pattern, 'q8_0');
    expect(check(painted).overrides).toEqual([{ match: pattern, quantize: { format: 'q8_0' } }]);
    expect(withoutRule(painted, pattern).overrides).toEqual([]);
  });
});
