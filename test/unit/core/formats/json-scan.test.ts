import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scanJson, type JsonScanLimits } from '../../../../core/formats/json-scan.ts';

const LIMITS: JsonScanLimits = { maxDepth: 4, maxObjectMembers: 3, maxArrayItems: 3, wholeNumbersOnly: false };

function problemOf(text: string, limits: Partial<JsonScanLimits> = {}) {
  return scanJson(text, { ...LIMITS, ...limits }).problem;
}

test('gives the keys of the root object in the order of the text', () => {
  expect(scanJson('{"10":{"x":1},"2":[{"y":2}],"a\\u0062":"q"}', LIMITS)).toEqual({
    problem: null,
    rootKeys: ['10', '2', 'ab'],
  });
});

describe('stops at', () => {
  test.each([
    ['a level too many', '{"a":[[[[', {}, 'too-deep', 8, 'a'],
    ['a member too many', '{"a":1,"b":2,"c":3,"d":4}', {}, 'too-many-members', 18, 'c'],
    ['an item too many', '{"a":[1,2,3,4]}', {}, 'too-many-members', 11, 'a'],
    ['a repeated key', '{"a":1,"a":2}', {}, 'duplicate-key', 7, 'a'],
    ['a repeated key that is escaped', '{"a":1,"\\u0061":2}', {}, 'duplicate-key', 7, 'a'],
    ['a repeated key deep inside', '{"a":{"b":1,"b":2}}', {}, 'duplicate-key', 12, 'a'],
    ['half of a character in a key', '{"\\ud800x":1}', {}, 'lone-surrogate', 1, null],
    ['a point', '{"a":1.0}', { wholeNumbersOnly: true }, 'not-whole-number', 5, 'a'],
    ['an exponent', '{"a":1e3}', { wholeNumbersOnly: true }, 'not-whole-number', 5, 'a'],
    ['a sign', '{"a":-1}', { wholeNumbersOnly: true }, 'not-whole-number', 5, 'a'],
    ['a leading zero', '{"a":01}', { wholeNumbersOnly: true }, 'not-whole-number', 5, 'a'],
  ])('%s', (_, text, limits, kind, position, rootKey) => {
    expect(problemOf(text, limits)).toMatchObject({ kind, position, rootKey });
  });
});

describe('passes', () => {
  test.each([
    ['keys that are the same in different objects', '{"a":{"x":1},"b":{"x":1}}', {}],
    ['a key that stands as a value too', '{"a":"a","b":["a","a"]}', {}],
    ['brackets within texts', '{"a":"[[[[[[{{{{{{,,,,,,","b":"\\"[[[["}', {}],
    ['zero and plain digits', '{"a":0,"b":[10,9007199254740993]}', { wholeNumbersOnly: true }],
    ['a whole character in two escapes', '{"\\ud83d\\ude00":1}', {}],
    ['repeated keys where they are allowed', '{"a":1,"a":{"b":1,"b":2}}', { allowsRepeatedKeys: true }],
    ['text that is not JSON', ']]}}nonsense', {}],
    ['a text without end', '{"a":"', {}],
    ['an escape without end', '{"a\\', {}],
  ])('%s', (_, text, limits) => {
    expect(problemOf(text, limits)).toBeNull();
  });
});

test('says nothing of a number too long to show', () => {
  expect(problemOf(`{"a":${'1'.repeat(1000)}.5}`, { wholeNumbersOnly: true })?.detail).toHaveLength(40);
});

test('finds no problem in what JSON.stringify writes, and the keys of its root', () => {
  const limits = { maxDepth: 100, maxObjectMembers: 1e6, maxArrayItems: 1e6, wholeNumbersOnly: false };
  const key = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue()), (value) => {
      const { problem, rootKeys } = scanJson(JSON.stringify(value), limits);
      expect(problem === null || problem.kind === 'lone-surrogate').toBe(true);
      if (!problem) expect([...rootKeys].sort()).toEqual(Object.keys(value).sort());
    }),
  );
});
