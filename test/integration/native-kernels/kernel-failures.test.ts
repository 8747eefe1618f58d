import { chmodSync, chownSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Addon } from '../../../native-kernels/addon.ts';
import { loadKernels } from '../../../native-kernels/index.ts';
import { toWorkbenchError } from '../../../native-kernels/kernel-errors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { BINARY, kernels, makeSparse, sampleTensors, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const one = { threads: 1 };

test('a binary that is not there or is none says how to get one', async () => {
  const missing = await errorOf(() => loadKernels(at('missing.node')));
  expect(missing).toMatchObject({ code: 'KERNEL_UNAVAILABLE', where: { file: at('missing.node') } });
  writeFileSync(at('text.node'), 'no machine code');
  expect((await errorOf(() => loadKernels(at('text.node')))).code).toBe('KERNEL_UNAVAILABLE');
});

test('a missing file is named', async () => {
  const range = { path: at('missing'), offsetBytes: 0, sizeBytes: 2 };
  const calls = [
    () => kernels.digestFile(range.path, one),
    () => kernels.copyFile(range.path, at('copy'), one),
    () => kernels.tensorStatistics([range], 'BF16', one),
    () => kernels.measureDfloat11([range], one),
    () =>
      kernels.encodeSplitPlane([range], 'bf16', 'smallest', { path: at('coded'), dataStart: 0, offset: 0 }, null, one),
    () => kernels.copyRange({ ...range, path: BINARY }, at('no-folder/copy'), 0, one),
    () => kernels.lockFile(at('no-folder/lock')),
  ];
  for (const call of calls) {
    const error = await errorOf(call);
    expect(error.code).toBe('FILE_NOT_FOUND');
    expect(error.where.file).toMatch(/missing$|no-folder/);
    expect(error.what).toContain(error.where.file);
  }
});

test('a folder is no file', async () => {
  mkdirSync(at('folder'));
  expect((await errorOf(() => kernels.digestFile(at('folder'), one))).code).toBe('FILE_IO');
});

test('bytes past the end of a file mean that it was cut short', async () => {
  writeFileSync(at('file'), Buffer.alloc(100));
  const range = { path: at('file'), offsetBytes: 60, sizeBytes: 50 };
  for (const call of [
    () => kernels.copyRange(range, at('copy'), 0, one),
    () => kernels.tensorStatistics([range], 'BF16', one),
    () => kernels.measureDfloat11([range], { threads: 2 }),
    () => kernels.encodeSplitPlane([range], 'bytes', 'smallest', { path: at('c'), dataStart: 0, offset: 0 }, null, one),
  ]) {
    expect(await errorOf(call)).toMatchObject({
      code: 'FORMAT_FILE_CUT_SHORT',
      where: { file: at('file'), byteOffset: 100 },
    });
  }
});

test('a file cut short while it is read is an error, not a crash', async () => {
  const { path } = makeSparse(at('shrinking'), 2 ** 33);
  let cut = false;
  const onProgress = (): void => {
    if (!cut) truncateSync(path, 1000);
    cut = true;
  };
  const error = await errorOf(() => kernels.digestFile(path, { threads: 1, onProgress }));
  expect(error).toMatchObject({ code: 'FORMAT_FILE_CUT_SHORT', where: { file: path } });
});

const isRoot = process.geteuid?.() === 0;

/** What an ordinary user meets: root may read everything, so it becomes somebody else for the call. */
async function asOrdinaryUser<T>(call: () => Promise<T>): Promise<T> {
  if (!isRoot) return await call();
  process.seteuid?.(65_534);
  try {
    return await call();
  } finally {
    process.seteuid?.(0);
  }
}

test.skipIf(process.platform === 'win32')('files without permission are named', async () => {
  writeFileSync(at('secret'), 'secret');
  chmodSync(at('secret'), 0o000);
  mkdirSync(at('closed'));
  chmodSync(at('closed'), 0o500);
  // The folder itself stays open to the user who is tried.
  if (isRoot) chownSync(at('.'), 65_534, 65_534);
  await asOrdinaryUser(async () => {
    expect(await errorOf(() => kernels.digestFile(at('secret'), one))).toMatchObject({
      code: 'FILE_PERMISSION_DENIED',
      where: { file: at('secret') },
    });
    const copy = (): Promise<unknown> => kernels.copyFile(BINARY, at('closed/copy'), one);
    expect((await errorOf(copy)).code).toBe('FILE_PERMISSION_DENIED');
    expect((await errorOf(() => kernels.lockFile(at('closed/lock')))).code).toBe('FILE_PERMISSION_DENIED');
  });
  chmodSync(at('closed'), 0o700);
});

test('what only a mistake of ours can bring is a bug with a report', async () => {
  const [tensor] = sampleTensors.map(({ range }) => range);
  if (tensor === undefined) throw new Error('the sample model has tensors');
  const calls: (() => unknown)[] = [
    () => kernels.digestFile(tensor.path, { threads: 0 }),
    () => kernels.digestFile(tensor.path, { threads: 100_000 }),
    () => kernels.copyRange({ ...tensor, offsetBytes: -1 }, at('copy'), 0, one),
    () => kernels.compareRanges(tensor, { ...tensor, sizeBytes: 2 }, one),
    () => kernels.measureDfloat11([{ ...tensor, sizeBytes: 3 }], one),
    () => kernels.encodeSplitPlane([tensor], 'bf16', 'raw', { path: at('coded'), dataStart: 0, offset: 1 }, null, one),
    () => kernels.digestFile(undefined as unknown as string, one),
  ];
  for (const call of calls) {
    expect(await errorOf(call)).toMatchObject({ code: 'BUG_KERNEL_ARGUMENT', retryable: false });
  }
});

test('a panic becomes an error with its text, and the process lives', async () => {
  const loaded: { exports: unknown } = { exports: {} };
  process.dlopen(loaded, BINARY);
  const addon = loaded.exports as Addon;
  for (const text of ['first "panic"\n', 'second']) {
    const error = await addon.panicForTests(text).then(() => null, toWorkbenchError);
    expect(error).toMatchObject({ code: 'BUG_KERNEL_PANIC', what: `A kernel panicked: ${text}.` });
  }
  expect(await kernels.digestFile(BINARY, { threads: 2 })).toHaveProperty('sha256');
});
