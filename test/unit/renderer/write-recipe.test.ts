import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../../core/contract/parse-recipe.ts';
import { writeRecipe } from '../../../renderer/model/write-recipe.ts';

const RECIPES = 'examples/recipes';
const TEXTS = ['/texts/docs, new "ones"/#1: a.txt', '- b.txt'];

describe('writeRecipe', () => {
  it.each(readdirSync(RECIPES))('writes %s as text that reads back the same, its comment kept', (file) => {
    const text = readFileSync(`${RECIPES}/${file}`, 'utf8');
    const recipe = parseRecipe(text, file, text.includes('gptq') ? TEXTS : []);
    const written = writeRecipe(recipe, text);
    expect(parseRecipe(written, file)).toEqual(recipe);
    expect(written.split('\n')[0]).toBe(text.split('\n')[0]);
    expect(writeRecipe(parseRecipe(written, file), written)).toBe(written);
  });

  it('leaves defaults out', () => {
    const recipe = parseRecipe('lathe: 1\nsteps: [{ step: quantize, format: q4_k_m }]\n', 'r');
    expect(writeRecipe(recipe)).toBe('lathe: 1\nsteps:\n  - step: quantize\n    format: q4_k_m\n');
  });

  it('quotes what YAML would read as something else', () => {
    const names = [
      'true',
      '1',
      'null',
      'a: b',
      "it's",
      '# no',
      '',
      'caf\u00e9 \u202e',
      'back\\slash',
      '-',
      '1e3',
      '.inf',
    ];
    for (const name of names) {
      const recipe = parseRecipe(
        JSON.stringify({
          lathe: 1,
          name,
          steps: [{ step: 'quantize', format: 'q8_0' }],
          overrides: [{ match: `x${name}`, skip: true }],
        }),
        'r',
      );
      expect(parseRecipe(writeRecipe(recipe), 'r')).toEqual(recipe);
    }
  });
});
