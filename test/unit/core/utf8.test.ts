import { expect, test } from 'vitest';
import { compareByCodePoint, decodeUtf8, encodeUtf8 } from '../../../core/utf8.ts';

test('text comes back from its bytes, a byte order mark included', () => {
  for (const text of ['', 'abc', 'größe', '\u{1f600}', '\ufeffa', '\0'])
    expect(decodeUtf8(encodeUtf8(text))).toBe(text);
});

test.each([
  ['a byte that never occurs', [0xff]],
  ['a cut character', [0xe2, 0x82]],
  ['a character spelled too long', [0xc0, 0x80]],
  ['half of a pair', [0xed, 0xa0, 0x80]],
  ['a number beyond the last character', [0xf4, 0x90, 0x80, 0x80]],
])('%s is not text', (_, bytes) => {
  expect(decodeUtf8(Uint8Array.from(bytes))).toBeNull();
});

test('names are ordered as their UTF-8 bytes are', () => {
  const names = ['a', 'ab', 'b', '', 'é', '\ue000', '\uffff', '\u{1f600}', 'a.b', 'a0'];
  const byBytes = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect([...names].sort(compareByCodePoint)).toEqual(byBytes);
  expect([...names].reverse().sort(compareByCodePoint)).toEqual(byBytes);
});
