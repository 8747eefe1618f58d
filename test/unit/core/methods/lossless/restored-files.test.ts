import { describe, expect, test } from 'vitest';
import type { LatheFile } from '../../../../../core/contract/lathe-file.ts';
import type { CodedPart, LogicalTensor } from '../../../../../core/methods/lossless/coded-parts.ts';
import {
  newWeightFiles,
  originalWeightFiles,
  placeTensors,
  splitPlaneWeightFiles,
} from '../../../../../core/methods/lossless/restored-files.ts';
import { openModel } from '../../../../../core/model/open-model.ts';
import { buildLatheContent } from '../../../../helpers/build-lathe-file.ts';
import { buildSafetensors } from '../../../../helpers/build-safetensors.ts';
import { buildSplitPlane, describeSplitPlane } from '../../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../../helpers/memory-files.ts';

const FILE = buildSafetensors({ tensors: [{ name: 'a', dtype: 'BF16', shape: [2, 2] }] });
const HEADER = FILE.slice(0, FILE.length - 8);

function latheOf(bytes: number): LatheFile {
  const content = buildLatheContent();
  const [file] = content.source.files;
  return { ...content, integrity: '', source: { ...content.source, files: [{ ...file!, bytes }] } };
}

function partOf(...tensors: Partial<LogicalTensor>[]): CodedPart {
  const whole = tensors.map((tensor) => ({
    name: 'a',
    dtype: 'BF16',
    shape: [4],
    sizeBytes: 8,
    storedBytes: 8,
    ...tensor,
  }));
  const sizeBytes = whole.reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
  return { method: 'plain', file: 'x', tensors: whole, sizeBytes, decode: () => Promise.reject(new Error('decoded')) };
}

describe('original files', () => {
  test('are those whose headers lathe.json holds', () => {
    const files = originalWeightFiles(latheOf(FILE.length), new Map([['model.safetensors', HEADER]]));
    expect(files).toMatchObject([{ path: 'model.safetensors', sizeBytes: FILE.length, header: HEADER }]);
    expect(files[0]!.places).toMatchObject([{ name: 'a', offsetBytes: HEADER.length, sizeBytes: 8 }]);
  });

  test.each([
    ['a header of no listed file', 'FORMAT_LATHE_JSON_INVALID', 'other.safetensors', HEADER, FILE.length],
    ['a header that is cut', 'FORMAT_HEADER_INVALID', 'model.safetensors', HEADER.slice(0, -1), FILE.length],
    ['a header of 7 bytes', 'FORMAT_FILE_CUT_SHORT', 'model.safetensors', HEADER.slice(0, 7), FILE.length],
    ['a header with more behind it', 'FORMAT_HEADER_INVALID', 'model.safetensors', FILE, FILE.length],
    ['a file of another size', 'FORMAT_TRAILING_BYTES', 'model.safetensors', HEADER, FILE.length + 1],
  ])('are refused: %s', async (_, code, path, header, bytes) => {
    expect((await errorOf(() => originalWeightFiles(latheOf(bytes), new Map([[path, header]])))).code).toBe(code);
  });

  test('of a split-plane folder are refused where the header blob is no header', async () => {
    const json = JSON.stringify({ format: 'split-plane', version: 1, ...describeSplitPlane() });
    const files = new MemoryFiles({ '/m/model.safetensors.splane': buildSplitPlane(json) });
    const model = await openModel('/m', files);
    if (model.kind !== 'split-plane') throw new Error(`opened as ${model.kind}`);
    expect((await errorOf(() => splitPlaneWeightFiles(model, files))).code).toBe('FORMAT_HEADER_INVALID');
  });
});

describe('new files', () => {
  const parts = [partOf({ name: 'b' }, { name: 'a' }), partOf({ name: 'c', dtype: 'F32', sizeBytes: 16, shape: [4] })];

  test('are one without a limit, in the official order', () => {
    const { files, index } = newWeightFiles(parts, null);
    expect(files.map(({ path, places }) => [path, places.map(({ name }) => name)])).toEqual([
      ['model.safetensors', ['c', 'a', 'b']],
    ]);
    expect(index).toBeNull();
  });

  test('are filled up to the limit; the index names each tensor’s', () => {
    const { files, index } = newWeightFiles(parts, 16);
    expect(files.map(({ path, places }) => [path, places.map(({ name }) => name)])).toEqual([
      ['model-00001-of-00002.safetensors', ['c']],
      ['model-00002-of-00002.safetensors', ['a', 'b']],
    ]);
    expect(JSON.parse(new TextDecoder().decode(index))).toEqual({
      metadata: { total_size: 32 },
      weight_map: {
        a: 'model-00002-of-00002.safetensors',
        b: 'model-00002-of-00002.safetensors',
        c: 'model-00001-of-00002.safetensors',
      },
    });
    expect(newWeightFiles(parts, 1).files).toHaveLength(3);
  });
});

describe('tensors are placed', () => {
  const files = originalWeightFiles(latheOf(FILE.length), new Map([['model.safetensors', HEADER]]));

  test('where the original file has them', () => {
    expect([...placeTensors(files, [partOf({})], '/out')]).toEqual([
      ['a', { path: '/out/model.safetensors', offsetBytes: HEADER.length, sizeBytes: 8 }],
    ]);
  });

  test.each<[string, CodedPart[]]>([
    ['a tensor of another size', [partOf({ sizeBytes: 10 })]],
    ['a tensor that no file has', [partOf({}, { name: 'b' })]],
    ['a tensor that is not stored', []],
  ])('but not %s', async (_, parts) => {
    expect((await errorOf(() => placeTensors(files, parts, '/out'))).code).toBe('FORMAT_SHAPE_MISMATCH');
  });
});
