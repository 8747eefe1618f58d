import { expect, test } from 'vitest';
import { placeOtherFiles } from '../../../../../core/methods/lossless/copy-other-files.ts';

function places(paths: string[], taken: string[]): string[] {
  const files = paths.map((path) => ({ path, sizeBytes: 1 }));
  return placeOtherFiles(files, (path) => taken.includes(path.toLowerCase())).map(({ to }) => to);
}

test('files keep their path unless it is taken', () => {
  expect(places(['a.json', 'b/c.txt'], ['lathe.json'])).toEqual(['a.json', 'b/c.txt']);
  expect(places(['lathe.json', 'a.json'], ['lathe.json'])).toEqual(['lathe.json.kept', 'a.json']);
});

test('a new name is nobody else’s, in capitals or not', () => {
  expect(places(['x', 'x.kept', 'X.KEPT.kept'], ['x'])).toEqual(['x.kept.kept.kept', 'x.kept', 'X.KEPT.kept']);
  expect(places(['x', 'X'], ['x'])).toEqual(['x.kept', 'X.kept.kept']);
  expect(places(['x'], ['x', 'x.kept'])).toEqual(['x.kept.kept']);
});

test('files in a folder of a taken name move with that folder', () => {
  expect(places(['lathe.json/a', 'lathe.json/b', 'b/lathe.json'], ['lathe.json'])).toEqual([
    'lathe.json.kept/a',
    'lathe.json.kept/b',
    'b/lathe.json',
  ]);
  expect(places(['x/a', 'x.kept'], ['x'])).toEqual(['x.kept.kept/a', 'x.kept']);
});
