import { expect, test } from 'vitest';
import { parseCacheEntry, type CacheEntry } from '../../../../core/contract/cache-entry.ts';

const ENTRY: CacheEntry = {
  version: 1,
  kind: 'input-gram',
  key: { model: 'a', block: 3 },
  sections: [{ name: 'gram', dtype: 'F32', shape: [4, 4], offsetBytes: 0 }],
  facts: {},
  sizeBytes: 64,
  sha256: '0'.repeat(64),
};

test('an entry is read back', () => {
  expect(parseCacheEntry(JSON.stringify(ENTRY))).toEqual(ENTRY);
});

test.each<[string, unknown]>([
  ['no JSON', '{'],
  ['another version', { ...ENTRY, version: 2 }],
  ['a section beyond the data', { ...ENTRY, sizeBytes: 63 }],
  ['a section that begins before the data', { ...ENTRY, sections: [{ ...ENTRY.sections[0], offsetBytes: -4 }] }],
  ['a size that is none', { ...ENTRY, sections: [{ ...ENTRY.sections[0], shape: [2 ** 53, 2 ** 53] }] }],
  ['no checksum', { ...ENTRY, sha256: '' }],
])('%s is no entry', (_, value) => {
  expect(parseCacheEntry(typeof value === 'string' ? value : JSON.stringify(value))).toBeNull();
});
