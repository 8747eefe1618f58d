import { describe, expect, test } from 'vitest';
import { buildPatternDictionary } from '../../../../../core/formats/dfloat11/unit-patterns.ts';

const Q = ['q'];

function dictionaryOf(modules: string[], others: string[] = [], paths: readonly string[] = Q) {
  return buildPatternDictionary(
    modules.map((module) => ({ module, paths })),
    [...modules, ...others],
  );
}

describe('all modules of a form', () => {
  test.each([
    [['m.0', 'm.1'], ['m\\.\\d+']],
    [['m.0.e.0', 'm.1.e.7'], ['m\\.\\d+\\.e\\.\\d+']],
    [['lm_head'], ['lm_head']],
    [['vision-tower.0'], ['vision\\-tower\\.\\d+']],
    [['a(b).0'], ['a\\(b\\)\\.\\d+']],
  ])('%j are %j', (modules, patterns) => {
    expect(Object.keys(dictionaryOf(modules))).toEqual(patterns);
  });
});

describe('some modules of a form', () => {
  test.each([
    [['m.0', 'm.2'], ['m.1'], ['m\\.(0|2)']],
    [['m.2'], ['m.1'], ['m\\.2']],
    [['m.0.e.0', 'm.0.e.1', 'm.1.e.0', 'm.1.e.1'], ['m.2.e.0'], ['m\\.(0|1)\\.e\\.(0|1)']],
    [['m.0.e.0', 'm.1.e.1'], ['m.1.e.0'], ['m\\.0\\.e\\.0', 'm\\.1\\.e\\.1']],
    [['a.0.b.1.c.2', 'a.3.b.1.c.2'], ['a.0.b.0.c.0'], ['a\\.0\\.b\\.1\\.c\\.2', 'a\\.3\\.b\\.1\\.c\\.2']],
    [['m.0', 'm.1'], ['m.#'], ['m\\.\\d+']],
  ])('%j beside %j are %j', (modules, others, patterns) => {
    expect(Object.keys(dictionaryOf(modules, others))).toEqual(patterns);
  });

  test('in lists of at most 500 indices and 1,500 characters', () => {
    const indices = Array.from({ length: 1200 }, (_, index) => `m.${index}`);
    const patterns = Object.keys(dictionaryOf(indices, ['m.9999']));
    expect(patterns.every((pattern) => pattern.length < 1520)).toBe(true);
    expect(patterns.length).toBe(4);
    const long = Array.from({ length: 3 }, (_, index) => `m.${'9'.repeat(1600)}${index}`);
    expect(Object.keys(dictionaryOf(long, ['m.1']))).toHaveLength(3);
  });
});

test('units of one form with other paths have patterns of their own', () => {
  const units = [
    { module: 'm.0', paths: ['q'] },
    { module: 'm.1', paths: ['q', 'k'] },
    { module: 'm.2', paths: ['q'] },
  ];
  expect(buildPatternDictionary(units, ['m.0', 'm.1', 'm.2'])).toEqual({ 'm\\.(0|2)': ['q'], 'm\\.1': ['q', 'k'] });
});

test('no units, no patterns', () => {
  expect(buildPatternDictionary([], ['m.0'])).toEqual({});
});
