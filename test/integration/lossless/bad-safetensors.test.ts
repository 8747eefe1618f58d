import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../core/errors.ts';
import { buildSafetensors, type SafetensorsSpec } from '../../helpers/build-safetensors.ts';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf } from './folder-snapshot.ts';

/** A sound file of two tensors; each row below changes one thing of it. */
const SOUND: SafetensorsSpec = {
  tensors: [
    { name: 'a', dtype: 'BF16', shape: [4, 8] },
    { name: 'b', dtype: 'F32', shape: [6] },
  ],
};
const A_ENTRY = '"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}';
const MEBI = 1 << 20;

function withEntry(name: 'a' | 'b', entry: Record<string, unknown>): SafetensorsSpec {
  return { ...SOUND, entries: { [name]: entry } };
}

/** The whole JSON text, and four bytes of data. */
function withJson(json: string): SafetensorsSpec {
  return { json, trailing: new Uint8Array(4) };
}

const ROWS: [title: string, spec: SafetensorsSpec, code: ErrorCode][] = [
  ['has fewer than 8 bytes', { json: '', cutBytes: 3 }, 'FORMAT_FILE_CUT_SHORT'],
  ['claims a header that goes beyond the file', { ...SOUND, headerLength: 5000n }, 'FORMAT_HEADER_OUT_OF_FILE'],
  ['claims a header of 2^63 bytes', { ...SOUND, headerLength: 1n << 63n }, 'FORMAT_HEADER_TOO_LARGE'],
  ['has a header that is not JSON', withJson('{"a":'), 'FORMAT_HEADER_NOT_JSON'],
  ['has a header of a million nested objects', withJson('{"a":'.repeat(MEBI)), 'FORMAT_HEADER_TOO_DEEP'],
  ['has a million nested lists as metadata', withJson(`{"__metadata__":${'['.repeat(MEBI)}`), 'FORMAT_HEADER_TOO_DEEP'],
  ['has a list where its tensors should be', withJson(`[${A_ENTRY.slice(4)}]`), 'FORMAT_HEADER_NOT_JSON'],
  ['names a tensor twice', withJson(`{${A_ENTRY},${A_ENTRY}}`), 'FORMAT_DUPLICATE_KEY'],
  ['names a key of a tensor twice', withJson(`{${A_ENTRY.replace('}', ',"dtype":"U8"}')}}`), 'FORMAT_DUPLICATE_KEY'],
  ['has tensors that overlap', withEntry('b', { data_offsets: [60, 84] }), 'FORMAT_TENSOR_OVERLAP'],
  [
    'has a hole between tensors',
    { ...withEntry('b', { data_offsets: [68, 92] }), trailing: new Uint8Array(4) },
    'FORMAT_TENSOR_GAP',
  ],
  ['has a tensor that ends before it begins', withEntry('b', { data_offsets: [88, 64] }), 'FORMAT_OFFSETS_REVERSED'],
  ['has a fractional offset', withJson(`{${A_ENTRY.replace('4]}', '4.5]}')}}`), 'FORMAT_OFFSET_NOT_INTEGER'],
  ['has an offset of 1e400', withJson(`{${A_ENTRY.replace('4]}', '1e400]}')}}`), 'FORMAT_OFFSET_NOT_INTEGER'],
  [
    'has a tensor that ends beyond the file',
    withEntry('b', { data_offsets: [64, 88000] }),
    'FORMAT_TENSOR_OUT_OF_FILE',
  ],
  ['is cut short in its last tensor', { ...SOUND, cutBytes: 1 }, 'FORMAT_TENSOR_OUT_OF_FILE'],
  ['has bytes after its last tensor', { ...SOUND, trailing: new Uint8Array(1) }, 'FORMAT_TRAILING_BYTES'],
  ['has a shape that does not match its bytes', withEntry('a', { shape: [4, 7] }), 'FORMAT_SHAPE_MISMATCH'],
  ['has a shape of more than 2^53 elements', withEntry('a', { shape: [1 << 30, 1 << 30] }), 'FORMAT_SHAPE_OVERFLOW'],
  [
    'has a shape whose product wraps to its size in 64 bits',
    withEntry('a', { shape: [2 ** 32, 2 ** 32, 32] }),
    'FORMAT_SHAPE_OVERFLOW',
  ],
  ['has a tensor of an unknown dtype', withEntry('a', { dtype: 'BF17' }), 'FORMAT_UNKNOWN_DTYPE'],
];

describe('compress and inspect refuse a safetensors file that', () => {
  const shared = makeFolder('bad-safetensors');
  const model = join(shared, 'model');
  let place: CompressPlace;

  beforeEach(() => {
    mkdirSync(model, { recursive: true });
    place = new CompressPlace(model, 'split-plane');
  });

  afterEach(() => {
    place.remove();
    rmSync(model, { recursive: true, force: true });
  });

  afterAll(() => rmSync(shared, { recursive: true, force: true }));

  async function expectRefused(code: ErrorCode): Promise<void> {
    const before = snapshotOf(model);
    for (const run of [await place.compress(), await place.run(['inspect', model])]) {
      expect(run.json(), run.stderr).toMatchObject({ schema: 1, error: { code, retryable: false } });
      expect(run.json<{ error: { where: object } }>().error.where).toHaveProperty('file');
      expect(run.code).toBe(3);
    }
    expect(snapshotOf(place.output)).toBeNull();
    expect(place.leftovers()).toEqual([]);
    expect(snapshotOf(model)).toEqual(before);
  }

  it.each(ROWS)('%s', async (_title, spec, code) => {
    writeFileSync(join(model, 'model.safetensors'), buildSafetensors(spec));
    await expectRefused(code);
  });

  it('has a header of 150 MB, within its file', async () => {
    const path = join(model, 'model.safetensors');
    writeFileSync(path, buildSafetensors({ ...SOUND, headerLength: 150_000_000n }));
    truncateSync(path, 200_000_000);
    await expectRefused('FORMAT_HEADER_TOO_LARGE');
  });

  it('has a header with two million keys', async () => {
    const json = `{"__metadata__":{${Array.from({ length: 2_000_000 }, (_, index) => `"${index}":""`).join(',')}}}`;
    writeFileSync(join(model, 'model.safetensors'), buildSafetensors({ json }));
    await expectRefused('FORMAT_HEADER_TOO_LARGE');
  });

  it('has an unknown dtype in the second shard alone', async () => {
    const weightMap = { a: '1.safetensors', b: '2.safetensors' };
    const [a, b] = SOUND.tensors!;
    writeFileSync(join(model, '1.safetensors'), buildSafetensors({ tensors: [a!] }));
    writeFileSync(join(model, '2.safetensors'), buildSafetensors({ tensors: [b!], entries: { b: { dtype: '' } } }));
    writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    await expectRefused('FORMAT_UNKNOWN_DTYPE');
  });
});
