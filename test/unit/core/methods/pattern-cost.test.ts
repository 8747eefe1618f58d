import { describe, expect, it } from 'vitest';
import { patternCost } from '../../../../core/methods/pattern-cost.ts';

describe('patterns of overrides', () => {
  it.each([
    'lm_head|embed_tokens',
    'layers\\.0\\.',
    'layers\\.(1[0-9]|2[0-7])\\.self_attn\\.(q|k|v)_proj\\.weight$',
    '^model\\.layers\\.\\d+\\.mlp\\..*\\.weight$',
    '(ab){2}',
    '[(+*]{3,4}\\+',
    '(?:q|k)?_proj',
  ])('%s are taken', (pattern) => {
    expect(patternCost(pattern)).toBeNull();
  });

  it.each([
    '^(([a-z_.0-9])+)+!$',
    '(a|a)*b',
    '(a*)*',
    '((a|b)c){2,}',
    '(x+x+){99}y',
    '(.*)\\1',
    '(?<n>a)\\k<n>',
    '.*.*.*.*.*.*!',
  ])('%s are refused: they could take for ever', (pattern) => {
    expect(patternCost(pattern)).not.toBeNull();
  });
});
