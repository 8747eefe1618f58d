import { describe, expect, it } from 'vitest';
import { newGgufFile, type GgufValue } from '../../../../../core/formats/gguf/gguf-writer.ts';
import { openModel } from '../../../../../core/model/open-model.ts';
import type { GgufModel } from '../../../../../core/model/gguf-model.ts';
import { MemoryFiles } from '../../../../helpers/memory-files.ts';

describe('newGgufFile', () => {
  it('writes the smallest file as the specification has it, to the byte', () => {
    const metadata = new Map<string, GgufValue>([['general.architecture', { type: 'string', value: 'llama' }]]);
    const file = newGgufFile(metadata, [{ name: 'w', typeId: 8, shape: [32], sizeBytes: 34 }]);
    const expected =
      '4747554603000000' +
      '0100000000000000' +
      '0100000000000000' + // magic, version, one tensor, one key
      '1400000000000000' +
      Buffer.from('general.architecture').toString('hex') +
      '08000000' +
      '0500000000000000' +
      Buffer.from('llama').toString('hex') +
      '0100000000000000' +
      '77' +
      '01000000' +
      '2000000000000000' +
      '08000000' +
      '0000000000000000';
    expect(Buffer.from(file.header).toString('hex').replace(/0+$/, '')).toBe(expected.replace(/0+$/, ''));
    expect([file.header.length, file.offsets, file.fileBytes]).toEqual([128, [128], 192]);
  });

  it('writes values of every type, lists and tensors so that they are read back', async () => {
    const tokens = Array.from({ length: 30_000 }, (_, id) => `tökén ${id}`);
    const metadata = new Map<string, GgufValue>([
      ['general.architecture', { type: 'string', value: 'none' }],
      ['a.whole', { type: 'u32', value: 4_294_967_295 }],
      ['a.signed', { type: 'i32', value: -5 }],
      ['a.float', { type: 'f32', value: 0.5 }],
      ['a.flag', { type: 'bool', value: true }],
      ['a.tokens', { type: 'array', of: 'string', items: tokens }],
      ['a.kinds', { type: 'array', of: 'i32', items: [1, -2, 3] }],
      ['a.scores', { type: 'array', of: 'f32', items: [0.25, -1] }],
    ]);
    const file = newGgufFile(metadata, [
      { name: 'one', typeId: 0, shape: [2, 3], sizeBytes: 24 },
      { name: 'two', typeId: 8, shape: [1, 32], sizeBytes: 34 },
    ]);
    const bytes = new Uint8Array(file.fileBytes);
    bytes.set(file.header);
    const opened = (await openModel('/m/m.gguf', new MemoryFiles({ '/m/m.gguf': bytes }))) as GgufModel;
    expect(opened.tensors.map(({ name, shape, type, offsetBytes }) => [name, shape, type, offsetBytes])).toEqual([
      ['one', [2, 3], 'F32', file.offsets[0]],
      ['two', [1, 32], 'Q8_0', file.offsets[1]],
    ]);
    const values = ['a.whole', 'a.signed', 'a.float', 'a.flag'].map((key) => opened.fields.entry(key)?.value);
    expect(values).toEqual([4_294_967_295, -5, 0.5, true]);
    expect(opened.fields.entry('a.tokens')?.value).toMatchObject({ itemType: 'string', count: 30_000 });
    expect(opened.fields.entry('a.scores')?.value).toMatchObject({ itemType: 'f32', count: 2 });
  });
});
