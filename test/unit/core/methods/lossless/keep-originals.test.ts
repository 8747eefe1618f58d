import { expect, test } from 'vitest';
import type { Kernels } from '../../../../../core/kernels/kernels.ts';
import { keepOriginals } from '../../../../../core/methods/lossless/keep-originals.ts';
import type { WorkContext } from '../../../../../core/methods/lossless/work.ts';
import { openModel } from '../../../../../core/model/open-model.ts';
import { buildSafetensors } from '../../../../helpers/build-safetensors.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../../helpers/memory-files.ts';

const WEIGHTS = buildSafetensors({ tensors: [{ name: 'a', dtype: 'BF16', shape: [2, 2] }] });
const NODES = { '/m/model.safetensors': WEIGHTS, '/m/config.json': '{}', '/m/old': 'x' };

/** A context in which only reading works; hashing a file gives its size and a made-up hash. */
async function contextOf(files: MemoryFiles, afterHashing = files): Promise<WorkContext> {
  let current = files;
  const kernels = {
    async digestFile(path: string) {
      const facts = await files.stat(path);
      current = afterHashing;
      return { sizeBytes: facts?.sizeBytes ?? 0, sha256: 'hash' };
    },
  } as unknown as Kernels;
  const access = { ...files, read: files.read.bind(files), stat: (path: string) => current.stat(path) };
  const model = await openModel('/m', files);
  return { model, access, kernels, call: () => ({ threads: 1 }) } as unknown as WorkContext;
}

test('keeps headers, whole files, and the names that changed', async () => {
  const context = await contextOf(new MemoryFiles(NODES));
  const placed = [
    { file: { path: 'old', sizeBytes: 1 }, to: 'old.kept' },
    { file: { path: 'same', sizeBytes: 1 }, to: 'same' },
  ];
  const { original, digests } = await keepOriginals(context, placed, ['config.json']);
  expect([...original.headers]).toEqual([['model.safetensors', WEIGHTS.slice(0, WEIGHTS.length - 8)]]);
  expect([...original.files]).toEqual([['config.json', new TextEncoder().encode('{}')]]);
  expect([...original.renamed]).toEqual([['old', 'old.kept']]);
  expect(digests).toEqual([{ path: 'config.json', bytes: 2, sha256: 'hash' }]);
});

test('notices a file that changes while it is read', async () => {
  const context = await contextOf(new MemoryFiles(NODES), new MemoryFiles({ ...NODES, '/m/config.json': '{"a":1}' }));
  const error = await errorOf(() => keepOriginals(context, [], ['config.json']));
  expect(error).toMatchObject({ code: 'MODEL_CHANGED', where: { file: 'config.json' } });
});
