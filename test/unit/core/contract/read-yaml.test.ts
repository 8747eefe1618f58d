import { describe, expect, test } from 'vitest';
import { readYaml } from '../../../../core/contract/read-yaml.ts';

function valueOf(text: string): unknown {
  const read = readYaml(text);
  if ('fault' in read) throw new Error(read.fault);
  return read.value;
}

function faultOf(text: string): { fault: string; offset: number } {
  const read = readYaml(text);
  if (!('fault' in read)) throw new Error('expected a fault');
  return { fault: read.fault, offset: read.offset };
}

describe('reads', () => {
  test.each([
    ['nothing', '', null],
    ['a map', 'a: 1\nb: [x, 2.5, true, null]', { a: 1, b: ['x', 2.5, true, null] }],
    ['JSON', '{"a": {"b": [1, "\\u00e9"]}}', { a: { b: [1, 'é'] } }],
    ['block texts', 'a: |\n  x\n  y\n', { a: 'x\ny\n' }],
    ['anchors and aliases', 'a: &x [1]\nb: *x', { a: [1], b: [1] }],
    ['YAML 1.2 words as texts', 'a: yes\nb: 1_000', { a: 'yes', b: '1_000' }],
    ['numbers as keys', '1: a', { 1: 'a' }],
    ['32 levels', '['.repeat(32) + ']'.repeat(32), JSON.parse('['.repeat(32) + ']'.repeat(32))],
  ])('%s', (_, text, expected) => {
    expect(valueOf(text)).toEqual(expected);
  });
});

describe('finds', () => {
  test.each([
    ['a syntax error', 'a: [1', 'Flow sequence', 5],
    ['a tab as indentation', 'a:\n\tb: 1', 'Tabs', 3],
    ['a repeated key', 'a: 1\nb: 2\na: 3', 'second time', 10],
    ['a repeated key deep inside', '[{x: {"a": 1, \'a\': 2}}]', 'second time', 14],
    ['a number and a text that are one key', '1: a\n"1": b', 'second time', 5],
    ['a list as a key', '{[a]: 1}', 'neither a text nor a number', 1],
    ['an alias as a key', 'a: &x b\n*x : 1', 'neither a text nor a number', 8],
    ['a second document', 'a: 1\n---\nb: 2', 'second document', 5],
    ['an unknown tag', 'a: !unknown b', 'tag', 3],
    ['an alias of nothing', 'a: *b', 'Unresolved alias', 0],
  ])('%s', (_, text, fault, offset) => {
    expect(faultOf(text).fault).toContain(fault);
    expect(faultOf(text).offset).toBe(offset);
  });
});

describe('is not led astray by', () => {
  const LEVELS = 50_000;

  test.each([
    ['lists in lists', '['.repeat(LEVELS)],
    ['maps in maps', '{"a":'.repeat(LEVELS / 2)],
    ['sequences on one line', '- '.repeat(LEVELS)],
    ['keys without values on one line', '? '.repeat(LEVELS / 10)],
    ['deep indentation', Array.from({ length: 900 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ])('%s', (_, text) => {
    expect(faultOf(text).fault).toBe('More than 32 levels within one another');
  });

  test('a small text that unfolds into a huge value', () => {
    const levels = [...'bcdefghij'].map(
      (name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[index]!}`).join()}]`,
    );
    expect(faultOf(`a: &a [x]\n${levels.join('\n')}`).fault).toContain('alias');
  });

  test('50,000 keys in one map', () => {
    const started = performance.now();
    const text = Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n');
    expect(Object.keys(valueOf(text) as object)).toHaveLength(50_000);
    // Half a second on a quiet machine; the library's own check for repeated keys takes half a minute.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('a value that holds itself', () => {
    const value = valueOf('&a [*a]') as unknown[];
    expect(value[0]).toBe(value);
  });
});
