import { expect, test } from 'vitest';
import { firstInvalidByte, readText } from '../../../../core/tokenizer/read-text.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { MemoryFiles } from '../../../helpers/memory-files.ts';

const INVALID = new Map<string, number[]>([
  ['a byte that never occurs', [0xff]],
  ['a byte that only follows others', [0x80]],
  ['a character cut at the end', [0xe2, 0x82]],
  ['a character cut in the middle', [0xe2, 0x82, 0x41]],
  ['a character spelled too long', [0xc0, 0x80]],
  ['three bytes for what needs two', [0xe0, 0x9f, 0xbf]],
  ['four bytes for what needs three', [0xf0, 0x8f, 0xbf, 0xbf]],
  ['half of a pair', [0xed, 0xa0, 0x80]],
  ['a number beyond the last character', [0xf4, 0x90, 0x80, 0x80]],
]);

test.each([...INVALID])('%s is found where it begins', async (_, bytes) => {
  for (const before of ['', 'abc', 'größe 中 😀', '\u0000\r\n']) {
    const text = Uint8Array.from([...new TextEncoder().encode(before), ...bytes]);
    const byteOffset = text.length - bytes.length;
    expect(firstInvalidByte(text)).toBe(byteOffset);
    const error = await errorOf(() => readText('/text', new MemoryFiles({ '/text': text })));
    expect(error).toMatchObject({ code: 'TEXT_NOT_UTF8', where: { file: '/text', byteOffset } });
    expect(error.what).toContain(`at byte ${byteOffset} stands 0x${bytes[0]!.toString(16)}`);
  }
});

test('every character is valid, the first and the last of each length', () => {
  const edges = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff];
  const bytes = new TextEncoder().encode(String.fromCodePoint(...edges));
  expect(firstInvalidByte(bytes)).toBe(bytes.length);
});

test('a text is what its bytes say: byte order mark, line ends and NUL stay', async () => {
  const text = '\ufeffa\r\nb\u0000\n';
  expect((await readText('/text', new MemoryFiles({ '/text': text }))).text).toBe(text);
});

test('a missing text, a folder and a huge file are named', async () => {
  const files = new MemoryFiles({ '/folder/file': 'a' });
  expect(await errorOf(() => readText('/text', files))).toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(await errorOf(() => readText('/folder', files))).toMatchObject({ code: 'FILE_IO' });
  const huge = { ...files, stat: () => Promise.resolve({ kind: 'file' as const, sizeBytes: 1e9 }) };
  const access = Object.assign(Object.create(files) as MemoryFiles, huge);
  expect(await errorOf(() => readText('/text', access))).toMatchObject({ code: 'TEXT_TOO_LARGE' });
  expect(files.reads).toEqual([]);
});
