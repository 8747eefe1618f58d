import { existsSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readImatrix } from '../../../core/formats/imatrix/read-imatrix.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { buildGguf, type GgufSpec } from '../../helpers/build-gguf.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';
import { useWorkplace } from '../engine/engine-fixture.ts';

const place = useWorkplace();

const F32 = 0;
const F16 = 1;

function floats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** Sums of squares and counts of matrices, by their names. */
function imatrixOf(
  matrices: Record<string, { sums: number[]; count: number }>,
  changes: Partial<GgufSpec> = {},
): string {
  const tensors = Object.entries(matrices).flatMap(([name, { sums, count }]) => [
    { name: `${name}.in_sum2`, type: F32, shape: [sums.length], data: floats(sums) },
    { name: `${name}.counts`, type: F32, shape: [1], data: floats([count]) },
  ]);
  const metadata: GgufSpec['metadata'] = [
    ['general.type', 'string', 'imatrix'],
    ['imatrix.datasets', 'array', { of: 'string', items: ['/somewhere/else/text.txt'] }],
    ['imatrix.chunk_count', 'u32', 7],
    ['imatrix.chunk_size', 'u32', 256],
  ];
  const path = place().at('model.imatrix.gguf');
  writeFileSync(path, buildGguf({ metadata, tensors, ...changes }));
  return path;
}

const read = (path: string) => readImatrix(path, 'mine.gguf', nodeFileAccess);

/** Of each column of a matrix of the sample model: a few columns count for nearly all. */
function steep(columns: number): number[] {
  return Array.from({ length: columns }, (_, column) => (column % 16 === 0 ? 1000 : 0.001));
}

function exportBy(imatrix: string | null, name: string) {
  return place().engine.exportGguf({
    ...place().options(),
    model: SAMPLE_MODEL,
    output: place().at(name),
    type: 'Q4_K_M',
    calibration: null,
    imatrix,
    method: 'rtn',
    hasTokenizer: true,
    force: false,
  });
}

describe('an importance matrix', () => {
  it('is read as means of squares, with where it comes from', async () => {
    const path = imatrixOf({ 'blk.0.attn_q.weight': { sums: [8, 0, 2], count: 4 } });
    expect(await read(path)).toEqual({
      importance: new Map([['blk.0.attn_q.weight', Float32Array.of(2, 0, 0.5)]]),
      datasets: ['text.txt'],
      chunks: 7,
      chunkSize: 256,
    });
  });

  it.each<[string, () => string]>([
    ['no GGUF file', () => (writeFileSync(place().at('old.dat'), 'old'), place().at('old.dat'))],
    ['a model', () => imatrixOf({ a: { sums: [1], count: 1 } }, { metadata: [['general.type', 'string', 'model']] })],
    ['no matrices', () => imatrixOf({})],
    ['a count of 0', () => imatrixOf({ a: { sums: [1], count: 0 } })],
    ['a count that is no number', () => imatrixOf({ a: { sums: [1], count: NaN } })],
    ['a negative sum', () => imatrixOf({ a: { sums: [1, -1], count: 1 } })],
    ['an infinite sum', () => imatrixOf({ a: { sums: [Infinity], count: 1 } })],
    ['no counts', () => imatrixOf({}, { tensors: [{ name: 'a.in_sum2', type: F32, shape: [1], data: floats([1]) }] })],
    [
      'experts',
      () =>
        imatrixOf(
          {},
          {
            tensors: [
              { name: 'a.in_sum2', type: F32, shape: [2, 1], data: floats([1, 1]) },
              { name: 'a.counts', type: F32, shape: [2], data: floats([1, 1]) },
            ],
          },
        ),
    ],
    [
      'other numbers than f32',
      () =>
        imatrixOf(
          {},
          {
            tensors: [
              { name: 'a.in_sum2', type: F16, shape: [2], data: new Uint8Array(4) },
              { name: 'a.counts', type: F32, shape: [1], data: floats([1]) },
            ],
          },
        ),
    ],
  ])('is refused: %s', async (_, make) => {
    const path = make();
    expect(await errorOf(() => read(path))).toMatchObject({ code: 'IMATRIX_INVALID', where: { file: 'mine.gguf' } });
  });

  it('that is not there is told', async () => {
    expect(await errorOf(() => read(place().at('none')))).toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('export by an importance matrix', () => {
  it('gives the columns that count less error, at the same size, and says what it took', async () => {
    const path = imatrixOf({
      'blk.0.attn_q.weight': { sums: steep(256), count: 1 },
      'blk.9.attn_q.weight': { sums: steep(256), count: 1 },
    });
    const [plain, weighted] = [await exportBy(null, 'plain.gguf'), await exportBy(path, 'weighted.gguf')];
    expect(weighted.fileBytes).toBe(plain.fileBytes);
    expect(weighted.imatrix).toEqual({ file: path, datasets: ['text.txt'], chunks: 7, chunkSize: 256 });
    expect(weighted.notes.join(' ')).toMatch(/says nothing of 55 matrices of the blocks.*names 1 more/);
    // Errors of all weights alike grow where only some of them count.
    const errorsOf = ({ tensors }: typeof plain) =>
      new Map(tensors.map(({ name, relativeError }) => [name, relativeError]));
    const [before, after] = [errorsOf(plain), errorsOf(weighted)];
    expect(after.get('blk.0.attn_q.weight')).toBeGreaterThan(1.05 * before.get('blk.0.attn_q.weight')!);
    expect(after.get('blk.0.attn_k.weight')).toBe(before.get('blk.0.attn_k.weight'));
  });

  it.each([
    ['other columns', 'blk.0.attn_q.weight', 128],
    ['other matrices', 'blk.0.ffn_gate_exps.weight', 256],
  ])('of another model, with %s, is refused before anything is written', async (_, name, columns) => {
    const path = imatrixOf({ [name]: { sums: steep(columns), count: 1 } });
    const error = await errorOf(() => exportBy(path, 'out.gguf'));
    expect(error).toMatchObject({ code: 'IMATRIX_DIFFERS', where: { file: path, tensor: name } });
    expect(existsSync(place().at('out.gguf'))).toBe(false);
  });
});
