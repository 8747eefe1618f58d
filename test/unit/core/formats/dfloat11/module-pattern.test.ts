import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileModulePattern } from '../../../../../core/formats/dfloat11/module-pattern.ts';

function matches(pattern: string, name: string): boolean {
  const compiled = compileModulePattern(pattern);
  if ('problem' in compiled) throw new Error(compiled.problem);
  return compiled.matches(name);
}

describe('a pattern matches the whole name', () => {
  test.each([
    ['model\\.layers\\.\\d+', 'model.layers.12', true],
    ['model\\.layers\\.\\d+', 'model.layers.', false],
    ['model\\.layers\\.\\d+', 'model.layers.1.mlp', false],
    ['model\\.layers\\.\\d+', 'xmodel.layers.1', false],
    ['model.layers.\\d+', 'model.layers.1', true],
    ['model.layers.\\d+', 'modelXlayersX1', true],
    ['a\\d*b', 'ab', true],
    ['a\\d*b', 'a12b', true],
    ['a\\d?b', 'a12b', false],
    ['h\\.[0-9]+', 'h.10', true],
    ['h\\.[a-cx]', 'h.x', true],
    ['h\\.[a-cx]', 'h.d', false],
    ['h\\.[a-]', 'h.-', true],
    ['h\\.(0|1|15)', 'h.15', true],
    ['h\\.(0|1|15)', 'h.5', false],
    ['h\\.(?:0|)x', 'h.x', true],
    ['h\\.((a|b)c|d)', 'h.bc', true],
    ['lm_head|embed', 'embed', true],
    ['lm_head|embed', 'lm_headembed', false],
    ['', '', true],
    ['.', '\n', false],
  ])('%s and %s: %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });
});

describe('refuses', () => {
  test.each([
    ['a quantified group', '(a|b)+'],
    ['nested quantifiers', '(a+)+b'],
    ['a look-ahead', '(?!a)b'],
    ['a look-behind', '(?<=a)b'],
    ['a back-reference', '(a)\\1'],
    ['a counted repetition', 'a{2}'],
    ['a counted repetition of a group', '(a){2}'],
    ['two quantifiers', 'a**'],
    ['a leading quantifier', '+a'],
    ['an anchor', '^a$'],
    ['a word class', '\\w+'],
    ['a negated class', '[^a]'],
    ['an empty class', '[]'],
    ['an open class', '[a'],
    ['a backward range', '[z-a]'],
    ['an open group', '(a'],
    ['a stray parenthesis', 'a)'],
    ['a trailing backslash', 'a\\'],
    ['deep groups', '((((((a))))))'],
    ['a pattern of 5,000 characters', 'a'.repeat(5000)],
  ])('%s', (_, pattern) => {
    expect(compileModulePattern(pattern)).toHaveProperty('problem');
  });
});

test('takes time in proportion to its input where backtracking would take years', () => {
  const compiled = compileModulePattern(`${'\\d*'.repeat(300)}x`);
  if ('problem' in compiled) throw new Error(compiled.problem);
  const started = performance.now();
  expect(compiled.matches('1'.repeat(500))).toBe(false);
  expect(performance.now() - started).toBeLessThan(5000);
});

test('agrees with the language on every pattern of the grammar', () => {
  const atom = fc.constantFrom('a', 'b', '\\.', '.', '\\d', '[0-9]', '[ab]');
  const item = fc.tuple(atom, fc.constantFrom('', '', '+', '*', '?')).map((parts) => parts.join(''));
  const sequence = fc.array(item, { maxLength: 3 }).map((items) => items.join(''));
  const group = fc.array(sequence, { minLength: 1, maxLength: 3 }).map((alternatives) => `(${alternatives.join('|')})`);
  const pattern = fc.array(fc.oneof(item, group), { maxLength: 4 }).map((parts) => parts.join(''));
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '7'), maxLength: 8 });
  fc.assert(
    fc.property(pattern, name, (text, module) => {
      expect(matches(text, module)).toBe(new RegExp(`^(?:${text})$`).test(module));
    }),
    { numRuns: 3000 },
  );
});

test('any text is a pattern or has a problem', () => {
  const characters = fc.string({ unit: fc.constantFrom(...'ab.\\d[]()|*+?{}^$-09') });
  fc.assert(
    fc.property(characters, (text) => {
      const compiled = compileModulePattern(text);
      if ('problem' in compiled) expect(compiled.problem).not.toBe('');
      else expect(typeof compiled.matches(text)).toBe('boolean');
    }),
    { numRuns: 3000 },
  );
});
