import { describe, expect, test } from 'vitest';
import {
  newHeaderBudget,
  readSafetensorsHeader,
  readSplitPlaneHeader,
} from '../../../../core/model/read-model-headers.ts';
import { buildSafetensors, type TensorSpec } from '../../../helpers/build-safetensors.ts';
import { buildSplitPlane, describeSplitPlane } from '../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

function fileOf(bytes: Uint8Array) {
  return { files: new MemoryFiles({ '/m/x': bytes }), file: { path: 'x', sizeBytes: bytes.length } };
}

const A: TensorSpec = { name: 'a', dtype: 'BF16', shape: [2, 3] };

describe('a safetensors header', () => {
  test('is read in one go where it is short', async () => {
    const { files, file } = fileOf(buildSafetensors({ tensors: [A] }));
    const header = await readSafetensorsHeader('/m', file, files, newHeaderBudget());
    expect(header.tensors.map(({ name }) => name)).toEqual(['a']);
    expect(files.reads).toHaveLength(1);
  });

  test('is read whole where it is long', async () => {
    const tensors = Array.from({ length: 1000 }, (_, index) => ({ ...A, name: `tensor ${index}` }));
    const { files, file } = fileOf(buildSafetensors({ tensors }));
    const header = await readSafetensorsHeader('/m', file, files, newHeaderBudget());
    expect(header.tensors).toHaveLength(1000);
    expect(files.reads).toHaveLength(2);
  });

  test('is refused in a file of 3 bytes, and where it ends past its file', async () => {
    const short = fileOf(Uint8Array.of(1, 2, 3));
    const call = () => readSafetensorsHeader('/m', short.file, short.files, newHeaderBudget());
    expect((await errorOf(call)).code).toBe('FORMAT_FILE_CUT_SHORT');
    const long = fileOf(buildSafetensors({ tensors: [A], headerLength: 100_000n }));
    const other = () => readSafetensorsHeader('/m', long.file, long.files, newHeaderBudget());
    expect((await errorOf(other)).code).toBe('FORMAT_HEADER_OUT_OF_FILE');
  });

  test('is refused where the file has become shorter since it was listed', async () => {
    const bytes = buildSafetensors({
      tensors: Array.from({ length: 1000 }, (_, index) => ({ ...A, name: `${index}` })),
    });
    const { file } = fileOf(bytes);
    const files = new MemoryFiles({ '/m/x': bytes.subarray(0, 20_000) });
    const call = () => readSafetensorsHeader('/m', file, files, newHeaderBudget());
    expect((await errorOf(call)).code).toBe('FORMAT_FILE_CUT_SHORT');
  });
});

test('a split-plane header is read in one go', async () => {
  const description = JSON.stringify({ format: 'split-plane', version: 1, ...describeSplitPlane() });
  const { files, file } = fileOf(buildSplitPlane(description));
  const header = await readSplitPlaneHeader('/m', file, files, newHeaderBudget());
  expect(header.tensors).toHaveLength(2);
  expect(files.reads).toHaveLength(1);
});

test('headers that are too much together are refused before they are read', async () => {
  const { files, file } = fileOf(buildSafetensors({ tensors: [A] }));
  const budget = { bytesLeft: 100 };
  await readSafetensorsHeader('/m', file, files, budget);
  const error = await errorOf(() => readSafetensorsHeader('/m', file, files, budget));
  expect(error).toMatchObject({ code: 'FORMAT_HEADER_TOO_LARGE', where: { file: 'x' } });
  const plane = fileOf(buildSplitPlane('{}'));
  const call = () => readSplitPlaneHeader('/m', plane.file, plane.files, { bytesLeft: 10 });
  expect((await errorOf(call)).code).toBe('FORMAT_HEADER_TOO_LARGE');
});
