import { expect, test } from 'vitest';
import type { Plane } from '../../../../../core/kernels/kernels.ts';
import {
  sourceNameOf,
  splitPlaneName,
  storedSplitPlaneBytes,
} from '../../../../../core/methods/lossless/split-plane-names.ts';

test.each(['model.safetensors', 'a/b-00001-of-00002.safetensors'])('%s comes back from its name', (path) => {
  expect(sourceNameOf(splitPlaneName(path))).toBe(path);
});

test('a file that somebody renamed gets the usual ending', () => {
  expect(sourceNameOf('mine.splane')).toBe('mine.safetensors');
  expect(sourceNameOf('mine')).toBe('mine.safetensors');
});

test('a book counts 3 bytes an entry', () => {
  const plane: Plane = { kind: 'sm', codec: 'raw', offset: 0, bytes: 10, elements: 10, first: 0, xxh3: '0'.repeat(16) };
  const book: [number, number][] = [
    [1, 4000],
    [2, 96],
  ];
  expect(storedSplitPlaneBytes([plane, { ...plane, codec: 'rans12x32', bytes: 7, book }])).toBe(10 + 7 + 6);
  expect(storedSplitPlaneBytes([])).toBe(0);
});
