import { expect, test } from 'vitest';
import { cutWindows } from '../../../../core/evaluation/windows.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const ids = Int32Array.from({ length: 23 }, (_, index) => index);

test('windows follow each other without overlap, and the incomplete last one is dropped', () => {
  expect(cutWindows(ids, 10, 'text').map((window) => [...window])).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  ]);
  expect(cutWindows(ids, 23, 'text')).toHaveLength(1);
  expect(cutWindows(ids.subarray(0, 20), 10, 'text')).toHaveLength(2);
});

test('a text of less than one window is refused with its tokens and the window', async () => {
  const error = await errorOf(() => cutWindows(ids, 24, 'short.txt'));
  expect(error).toMatchObject({ code: 'TEXT_TOO_SHORT', where: { file: 'short.txt' } });
  expect(error.what).toContain('23 tokens, fewer than one window of 24');
  expect(await errorOf(() => cutWindows(new Int32Array(0), 2, 'empty'))).toMatchObject({ code: 'TEXT_TOO_SHORT' });
});
