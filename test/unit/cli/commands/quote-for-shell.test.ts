import { expect, it } from 'vitest';
import { quoteForShell } from '../../../../cli/commands/quote-for-shell.ts';

it.each([
  ['plain/path_1.yaml', 'plain/path_1.yaml'],
  ['--recipe=a', '--recipe=a'],
  ['two words', "'two words'"],
  ['$HOME', "'$HOME'"],
  ["it's", String.raw`'it'\''s'`],
  ['', "''"],
  ['~', "'~'"],
])('quotes %j for a shell as %s', (word, expected) => {
  expect(quoteForShell(word)).toBe(expected);
});
