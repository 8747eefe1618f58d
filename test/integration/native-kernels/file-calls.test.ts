import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { errorOf } from '../../helpers/error-of.ts';
import { bundleDoor, startNode } from './bundle-door.ts';
import { BINARY, bytesOf, kernels, sampleTensors, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const [largest] = sampleTensors.map(({ range }) => range);
if (largest === undefined) throw new Error('the sample model has tensors');

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('describes itself: version, bodies that can run here, the one in use', () => {
  const { version, backends, backend, features } = kernels.describe();
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(backends[0]).toBe('scalar');
  expect(backends.at(-1)).toBe(backend);
  if (backends.includes('avx2')) expect(features).toEqual(expect.arrayContaining(['avx2', 'bmi2', 'lzcnt']));
  if (backends.includes('avx512')) expect(features).toEqual(expect.arrayContaining(['avx512f', 'avx512vbmi']));
});

test('digests, copies and compares whole files and ranges', async () => {
  const digest = { sizeBytes: readFileSync(largest.path).length, sha256: sha256(readFileSync(largest.path)) };
  expect(await kernels.digestFile(largest.path, { threads: 1 })).toEqual(digest);
  expect(await kernels.copyFile(largest.path, at('copy'), { threads: 1 })).toEqual(digest);
  expect(readFileSync(at('copy')).equals(readFileSync(largest.path))).toBe(true);
  await kernels.syncFile(at('copy'), { threads: 1 });
  await kernels.copyRange(largest, at('range'), 1000, { threads: 1 });
  const copied = { path: at('range'), offsetBytes: 1000, sizeBytes: largest.sizeBytes };
  expect(bytesOf(copied).equals(bytesOf(largest))).toBe(true);
  await kernels.compareRanges(copied, largest, { threads: 1 });
});

test('tells how much room a disk has, as Node does', async () => {
  const { bavail, bsize } = await statfs(at('.'));
  const found = kernels.freeDiskBytes(at('.'));
  // Others write meanwhile.
  if (process.platform === 'linux') expect(Math.abs(found! - bavail * bsize)).toBeLessThan(2 ** 30);
  const missing = await errorOf(() => Promise.resolve(kernels.freeDiskBytes(at('missing'))));
  expect(missing).toMatchObject({ code: 'FILE_NOT_FOUND', where: { file: at('missing') } });
});

test('digests several files at once, in their order', async () => {
  const paths = [largest.path, BINARY, fileURLToPath(import.meta.url), largest.path];
  const expected = await Promise.all(paths.map((path) => kernels.digestFile(path, { threads: 1 })));
  for (const threads of [1, 2, 5]) {
    const seen: number[] = [];
    const options = { threads, onProgress: (doneBytes: number) => seen.push(doneBytes) };
    expect(await kernels.digestFiles(paths, options)).toEqual(expected);
    expect(seen.at(-1)).toBe(expected.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  }
  expect(await kernels.digestFiles([], { threads: 2 })).toEqual([]);
  const missing = await errorOf(() => kernels.digestFiles([BINARY, at('missing')], { threads: 2 }));
  expect(missing).toMatchObject({ code: 'FILE_NOT_FOUND', where: { file: at('missing') } });
});

test('a checksum is that of the whole file', async () => {
  writeFileSync(at('abc'), 'abc');
  expect(await kernels.checksumFile(at('abc'), { threads: 1 })).toEqual({ sizeBytes: 3, xxh3: '78af5f94892f3950' });
  const { sizeBytes, xxh3 } = await kernels.checksumFile(largest.path, { threads: 1 });
  const output = { path: at('coded'), dataStart: 0, offset: 0 };
  const whole = { path: largest.path, offsetBytes: 0, sizeBytes };
  const { planes } = await kernels.encodeSplitPlane([whole], 'bytes', 'raw', output, null, { threads: 1 });
  expect(planes[0]?.xxh3).toBe(xxh3);
});

test('a copy over a longer file has the length of its original', async () => {
  writeFileSync(at('short'), 'abc');
  writeFileSync(at('long'), 'something longer');
  await kernels.copyFile(at('short'), at('long'), { threads: 1 });
  expect(readFileSync(at('long'), 'utf8')).toBe('abc');
});

test('a comparison names file and byte of the first difference', async () => {
  const bytes = Buffer.alloc(3_000_000, 7);
  writeFileSync(at('a'), bytes);
  bytes.writeUInt8(8, 2_345_678);
  writeFileSync(at('b'), bytes);
  const range = { offsetBytes: 2, sizeBytes: bytes.length - 2 };
  const compare = (): Promise<void> =>
    kernels.compareRanges({ path: at('a'), ...range }, { path: at('b'), ...range }, { threads: 1 });
  expect(await errorOf(compare)).toMatchObject({
    code: 'VERIFY_FAILED',
    where: { file: at('b'), byteOffset: 2_345_678 },
  });
});

test('a lock is held by one, in this process and others, and set free by release or death', async () => {
  const lock = kernels.lockFile(at('lock'));
  expect(existsSync(at('lock'))).toBe(true);
  expect((await errorOf(() => kernels.lockFile(at('lock')))).code).toBe('JOB_OUTPUT_BUSY');
  const take = `${bundleDoor(at('door.cjs'))}.lockFile(${JSON.stringify(at('lock'))})`;
  const refused = startNode(`try { ${take} } catch (error) { console.log(error.code) }`);
  expect(await refused.output).toBe('JOB_OUTPUT_BUSY\n');
  lock.release();

  const holder = startNode(`const lock = ${take}; console.log('held'); setInterval(() => lock, 1000)`);
  try {
    expect(await holder.firstLine).toBe('held');
    expect((await errorOf(() => kernels.lockFile(at('lock')))).code).toBe('JOB_OUTPUT_BUSY');
  } finally {
    holder.child.kill('SIGKILL');
  }
  await holder.output;
  kernels.lockFile(at('lock')).release();
});
