import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  comparePaths,
  isIndex,
  modulesAround,
  unitTensorNames,
  weightModule,
} from '../../../../../core/formats/dfloat11/module-names.ts';

test('a weight belongs to its module, a bias to none', () => {
  expect(weightModule('model.norm.weight')).toBe('model.norm');
  expect(weightModule('model.norm.bias')).toBeNull();
  expect(weightModule('weight')).toBeNull();
});

test('a unit’s tensors are those of its paths, or its own weight', () => {
  expect(unitTensorNames('a.0', ['x', 'y.z'])).toEqual(['a.0.x.weight', 'a.0.y.z.weight']);
  expect(unitTensorNames('lm_head', [])).toEqual(['lm_head.weight']);
});

describe('the modules around a tensor', () => {
  test.each([
    ['a.b.c.weight', ['a', 'a.b', 'a.b.c']],
    ['weight', []],
    ['a..weight', ['a', 'a.']],
    ['.weight', []],
    ['.a.weight', ['.a']],
    ['', []],
  ])('of "%s" are %j', (name, modules) => {
    expect(modulesAround(name)).toEqual(modules);
  });

  test('are 15 at most, however many dots a name has', () => {
    expect(modulesAround('a'.repeat(10) + '.b'.repeat(1_000_000))).toHaveLength(15);
  });
});

test.each([
  ['0', true],
  ['12', true],
  ['007', true],
  ['', false],
  ['1a', false],
  ['-1', false],
  ['1.5', false],
  ['٣', false],
])('"%s" is an index: %s', (part, expected) => {
  expect(isIndex(part)).toBe(expected);
});

describe('paths are ordered', () => {
  test.each([
    ['a.2', 'a.10'],
    ['a.9', 'a.b'],
    ['a', 'a.b'],
    ['a.01.b', 'a.1.a'],
    ['a.10', 'a.1a'],
    ['a.1', 'a.01x'],
    ['mlp.down', 'mlp.up'],
    [`a.${'9'.repeat(400)}`, `a.1${'0'.repeat(400)}`],
  ])('%s before %s', (first, second) => {
    expect(comparePaths(first, second)).toBeLessThan(0);
    expect(comparePaths(second, first)).toBeGreaterThan(0);
  });

  test('totally: only a path itself is equal to it, and the order never runs in a circle', () => {
    const path = fc.array(fc.constantFrom('0', '00', '1', '01', '10', '2', '1a', 'a', 'b', ''), {
      minLength: 1,
      maxLength: 3,
    });
    const text = path.map((parts) => parts.join('.'));
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        expect(comparePaths(a, b) === 0).toBe(a === b);
        expect(Math.sign(comparePaths(a, b))).toBe(-Math.sign(comparePaths(b, a)) || 0);
        if (comparePaths(a, b) < 0 && comparePaths(b, c) < 0) expect(comparePaths(a, c)).toBeLessThan(0);
      }),
      { numRuns: 2000 },
    );
  });
});
