import { describe, expect, test } from 'vitest';
import type { FileAccess, FolderEntry } from '../../../../core/model/file-access.ts';
import { regularFileSize, walkModelFolder } from '../../../../core/model/model-folder.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

test('lists every file of the tree and every empty folder, sorted as UTF-8', async () => {
  const files = new MemoryFiles({
    '/m/b.json': '22',
    '/m/a/z.txt': '1',
    '/m/a/b/c.txt': '333',
    '/m/\u{1f600}': '',
    '/m/\uffff': '',
    '/m/empty': { kind: 'empty folder' },
    '/m/a/none': { kind: 'empty folder' },
  });
  expect(await walkModelFolder('/m', files)).toEqual({
    files: [
      { path: 'a/b/c.txt', sizeBytes: 3 },
      { path: 'a/z.txt', sizeBytes: 1 },
      { path: 'b.json', sizeBytes: 2 },
      { path: '\uffff', sizeBytes: 0 },
      { path: '\u{1f600}', sizeBytes: 0 },
    ],
    emptyFolders: ['a/none', 'empty'],
  });
});

test('opens nothing', async () => {
  const files = new MemoryFiles({ '/m/a': 'x', '/m/link': { linkTo: '/m/a' } });
  await walkModelFolder('/m', files);
  expect(files.reads).toEqual([]);
});

describe('refuses', () => {
  test.each([
    ['a pipe', 'MODEL_NOT_A_FILE', { '/m/p': { kind: 'pipe' as const } }],
    ['a link to a pipe', 'MODEL_NOT_A_FILE', { '/m/p': { linkTo: '/m/q' }, '/m/q': { kind: 'pipe' as const } }],
    ['a link to nothing', 'MODEL_NOT_A_FILE', { '/m/a': { linkTo: '/gone' } }],
    ['a link to a folder', 'MODEL_NOT_A_FILE', { '/m/a': { linkTo: '/m/b' }, '/m/b/c': '' }],
    ['a link out of a subfolder', 'MODEL_FILE_OUTSIDE_FOLDER', { '/m/sub/a': { linkTo: '/x' }, '/x': '' }],
    [
      'a link to a folder with the same beginning',
      'MODEL_FILE_OUTSIDE_FOLDER',
      { '/m/a': { linkTo: '/m2' }, '/m2': '' },
    ],
    ['a link to the root itself', 'MODEL_FILE_OUTSIDE_FOLDER', { '/m/a': { linkTo: '/m' } }],
    ['a name with a backslash', 'MODEL_UNKNOWN_KIND', { '/m/..\\x': '' }],
    ['a name with a drive letter', 'MODEL_UNKNOWN_KIND', { '/m/c:x': '' }],
    ['a folder with a backslash', 'MODEL_UNKNOWN_KIND', { '/m/a\\b/c': '' }],
  ])('%s', async (_, code, nodes) => {
    expect((await errorOf(() => walkModelFolder('/m', new MemoryFiles(nodes)))).code).toBe(code);
  });

  test('a tree that is too deep', async () => {
    const files = new MemoryFiles({ [`/m${'/d'.repeat(40)}/x`]: '' });
    expect((await errorOf(() => walkModelFolder('/m', files))).code).toBe('MODEL_UNKNOWN_KIND');
  });

  test('a folder of too many files, before it looks at any', async () => {
    const entries = Array.from({ length: 100_001 }, (_, index): FolderEntry => ({ name: String(index), kind: 'file' }));
    const access: FileAccess = {
      list: () => Promise.resolve(entries),
      stat: () => Promise.reject(new Error('looked at')),
      read: () => Promise.reject(new Error('read')),
      realPath: (path) => Promise.resolve(path),
    };
    expect((await errorOf(() => walkModelFolder('/m', access))).code).toBe('MODEL_UNKNOWN_KIND');
  });
});

test('a link at the top of a disk may lead anywhere on it', async () => {
  const files = new MemoryFiles({ '//a': { linkTo: '/b' }, '/b': 'x' });
  expect(await regularFileSize('/', 'a', files)).toBe(1);
});
