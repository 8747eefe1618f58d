import { describe, expect, test } from 'vitest';
import { parseLatheFile, writeLatheFile, type LatheFile } from '../../../../core/contract/lathe-file.ts';
import { buildLatheContent, sha256OfText } from '../../../helpers/build-lathe-file.ts';
import { errorOf } from '../../../helpers/error-of.ts';

function parse(text: string): LatheFile {
  return parseLatheFile(text, 'lathe.json', sha256OfText);
}

/** The text after a change of its content, sealed again as a forger would. */
function changed(change: (content: Record<string, Record<string, unknown>>) => unknown): string {
  const content: unknown = JSON.parse(JSON.stringify(buildLatheContent()));
  change(content as Record<string, Record<string, unknown>>);
  return writeLatheFile(content as LatheFile, sha256OfText);
}

test('what is written is read back the same, whatever the notes say', () => {
  const text = writeLatheFile(buildLatheContent(), sha256OfText);
  const { integrity, ...content } = parse(text);
  expect(content).toEqual(buildLatheContent());
  expect(integrity).toBe(sha256OfText(text.replace(integrity, '')));
  expect(text.endsWith(`"integrity": "${integrity}"\n}\n`)).toBe(true);
});

test('the same content gives the same text', () => {
  expect(writeLatheFile(buildLatheContent(), sha256OfText)).toBe(writeLatheFile(buildLatheContent(), sha256OfText));
});

test('every single character that is changed is noticed', async () => {
  const text = writeLatheFile(buildLatheContent(), sha256OfText);
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === '0' ? '1' : '0';
    const error = await errorOf(() => parse(text.slice(0, at) + other + text.slice(at + 1)));
    expect(error.code, `character ${at}`).toBe('FORMAT_LATHE_JSON_INVALID');
  }
});

describe('refuses', () => {
  test.each([
    ['text that is not JSON', '{'],
    ['an empty file', ''],
    ['a list', '[]'],
    ['a file without a seal', JSON.stringify({ ...buildLatheContent(), integrity: '' })],
    ['a file that was formatted anew', JSON.stringify(JSON.parse(changed(() => 0)))],
    ['text after the end', `${changed(() => 0)} `],
    ['another schema', changed((content) => Object.assign(content, { schema: 2 }))],
    ['a lossy method', changed((content) => Object.assign(content, { lossless: false }))],
    ['a recipe that is none', changed((content) => Object.assign(content['recipe']!, { steps: [] }))],
    ['a negative size', changed((content) => Object.assign(content['source']!, { storedBytes: -1 }))],
    ['a fraction of a byte', changed((content) => Object.assign(content['output']!, { fileBytes: 0.5 }))],
    ['a size above 2^53', changed((content) => Object.assign(content['output']!, { fileBytes: 2 ** 53 }))],
    ['a hash in capitals', changed((content) => Object.assign(fileOf(content), { sha256: 'A'.repeat(64) }))],
    ['a source file that leads out', changed((content) => Object.assign(fileOf(content), { path: '../x' }))],
    ['an absolute source file', changed((content) => Object.assign(fileOf(content), { path: '/etc/passwd' }))],
    [
      'an empty folder that leads out',
      changed((content) => Object.assign(content['source']!, { emptyFolders: ['..'] })),
    ],
    [
      'a header of a file that leads out',
      changed((content) => Object.assign(content['original']!, { headers: { '../x': '' } })),
    ],
    [
      'a kept file that leads out',
      changed((content) => Object.assign(content['original']!, { files: { 'a\\b': '' } })),
    ],
    [
      'a renamed file that leads out',
      changed((content) => Object.assign(content['original']!, { renamed: { a: '/b' } })),
    ],
    ['a header that is not base64', changed((content) => Object.assign(content['original']!, { headers: { a: '*' } }))],
  ])('%s', async (_, text) => {
    const error = await errorOf(() => parse(text));
    expect(error.code).toBe('FORMAT_LATHE_JSON_INVALID');
    expect(error.where.file).toBe('lathe.json');
  });

  test('without letting a name move the cursor of a terminal', async () => {
    const text = changed((content) => Object.assign(content['original']!, { files: { '/\u001b[2J': '' } }));
    // eslint-disable-next-line no-control-regex -- control characters are what this looks for
    expect((await errorOf(() => parse(text))).what).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});

function fileOf(content: Record<string, Record<string, unknown>>): object {
  return (content['source']!['files'] as object[])[0]!;
}
