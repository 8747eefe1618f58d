import { expect, test } from 'vitest';
import { isPlainRelativePath } from '../../../core/relative-path.ts';

test.each(['a', 'a.safetensors', 'a/b/c.json', '.cache/x', '...', 'a..b', '~', 'größe', 'CON', 'ab:c'])(
  'takes "%s"',
  (path) => {
    expect(isPlainRelativePath(path)).toBe(true);
  },
);

test.each([
  '',
  '/',
  '/etc/passwd',
  '.',
  '..',
  './a',
  '../a',
  'a/..',
  'a/../../b',
  'a/./b',
  'a//b',
  'a/',
  'C:a',
  'c:/a',
  'a\\b',
  '\\\\server\\share',
  'a\0b',
])('refuses "%s"', (path) => {
  expect(isPlainRelativePath(path)).toBe(false);
});
