/** Every block format against gguf-py (scripts/interop/make-gguf-fixtures.py made the fixtures). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GgmlTensor, GgmlType, Kernels } from '../../core/kernels/kernels.ts';
import { loadKernels } from '../../native-kernels/index.ts';

interface Fixture {
  types: Record<GgmlType, { blocks: string; weights: string }>;
}

const { types } = JSON.parse(readFileSync(new URL('gguf/blocks.json', import.meta.url), 'utf8')) as Fixture;
const NAMES = Object.keys(types) as GgmlType[];

let kernels: Kernels;
const folder = mkdtempSync(join(tmpdir(), 'lathe-blocks-'));
beforeAll(() => {
  kernels = loadKernels(fileURLToPath(new URL('../../dist/native/lathe-kernels.node', import.meta.url)));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the fixtures have every type that is not stored as f32', () => {
  expect(NAMES).toHaveLength(14);
});

test.each(NAMES)('%s decodes to the bits that gguf-py gives', async (type) => {
  const blocks = Buffer.from(types[type].blocks, 'base64');
  const expected = Buffer.from(types[type].weights, 'base64');
  const path = join(folder, type);
  writeFileSync(path, blocks);
  const tensor: GgmlTensor = {
    source: { path, offsetBytes: 0, sizeBytes: blocks.length },
    type,
    columns: 256,
    order: 'stored',
    heads: 1,
    add: 0,
  };
  const out = new Float32Array(expected.length / 4);
  await kernels.dequantizeGgml(tensor, out, { threads: 1 });
  expect(Buffer.from(out.buffer).equals(expected)).toBe(true);

  const range = { path: `${path}.f32`, offsetBytes: 0, sizeBytes: expected.length };
  const figures = await kernels.convertGgml(tensor, 'F32', { kind: 'write', ranges: [range] }, { threads: 2 });
  expect(readFileSync(range.path).equals(expected)).toBe(true);
  expect(figures).toMatchObject({ maxAbsError: 0, squaredError: 0, nanCount: 0, infiniteCount: 0 });
  expect(figures.squares).toBeCloseTo(
    out.reduce((sum, weight) => sum + weight * weight, 0),
    6,
  );
});
