import { describe, expect, test } from 'vitest';
import { printable, quoted, shown } from '../../../core/quoted.ts';

describe('a name in quotes', () => {
  test('keeps what can be read, and escapes quotes', () => {
    expect(quoted('größe "a"')).toBe('"größe \\"a\\""');
  });

  test.each([
    ['an escape sequence', '\u001b[2J', '"\\u001b[2J"'],
    ['an eight-bit escape', '\u009b2J', '"\\u009b2J"'],
    ['a line feed', 'a\nb', '"a\\nb"'],
    ['a line separator', '\u2028', '"\\u2028"'],
    ['a change of direction', '\u202e', '"\\u202e"'],
    ['half of a character', '\ud800', '"\\ud800"'],
  ])('escapes %s', (_, name, expected) => {
    expect(quoted(name)).toBe(expected);
  });

  test('is cut after 160 characters, its closing quote kept', () => {
    expect(quoted('"'.repeat(5000))).toBe(`"${'\\"'.repeat(160)}…"`);
    expect(quoted('a'.repeat(160))).toBe(`"${'a'.repeat(160)}"`);
  });
});

test('a text for a message is cut and its control characters are escaped', () => {
  expect(printable('tag !\u001b[2J')).toBe('tag !\\u001b[2J');
  expect(printable('a\nb')).toBe('a\\u000ab');
  expect(printable('a'.repeat(500))).toHaveLength(161);
});

describe('a value from a file', () => {
  const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));

  test.each([
    ['a text', '0.5.0', '"0.5.0"'],
    ['a number', 8.5, '8.5'],
    ['a truth value', false, 'false'],
    ['null', null, 'null'],
    ['nothing', undefined, 'nothing'],
    ['a list too deep to become text', deep, 'a list'],
    ['an object that cannot become text', JSON.parse('{"toString":1,"valueOf":1}'), 'an object'],
  ])('is shown: %s', (_, value, expected) => {
    expect(shown(value)).toBe(expected);
  });
});
