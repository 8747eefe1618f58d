import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ResourceError } from '../../../../core/errors.ts';
import { freeDiskBytes } from '../../../../workers/engine/free-disk.ts';

const HERE = fileURLToPath(import.meta.url);

test.each([
  [HERE, HERE],
  [join(dirname(HERE), 'not', 'there', 'yet'), dirname(HERE)],
  // A file has nothing below it.
  [join(HERE, 'below'), HERE],
  [join(parse(tmpdir()).root, 'lathe-not-there', 'x'), parse(tmpdir()).root],
])('the disk of %s is looked for at %s', async (path, expected) => {
  const asked: string[] = [];
  const kernels = { freeDiskBytes: (at: string) => asked.push(at) };
  expect(await freeDiskBytes(path, kernels)).toBe(1);
  expect(asked).toEqual([expected]);
});

test('a disk that cannot be asked is one of which nothing is known', async () => {
  const kernels = {
    freeDiskBytes: () => {
      throw new ResourceError({ code: 'FILE_PERMISSION_DENIED', what: 'No.', whatToDo: 'Ask.' });
    },
  };
  expect(await freeDiskBytes(HERE, kernels)).toBeNull();
});
