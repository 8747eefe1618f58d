import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeLine, escapeText, toSafeJson } from '../../../cli/output/escape-text.ts';

/** Everything that a terminal obeys or that turns text around; tab and line feed only where a line is meant. */
// eslint-disable-next-line no-control-regex -- these are what must not be there
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const hostile = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)),
    fc.constantFrom('\u202e', '\u2028', '\u2066', '\ud800', '\udc00', '\u200f', '\u061c', '\\', '"', 'u', '😀'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

describe('escaping', () => {
  it('leaves nothing that a terminal obeys', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(escapeText(text)).not.toMatch(OBEYED);
        expect(escapeLine(text)).not.toMatch(OBEYED);
        expect(escapeLine(text)).not.toMatch(/[\t\n]/);
        // Halves of surrogate pairs do not survive UTF-8.
        expect(Buffer.from(escapeText(text)).toString()).toBe(escapeText(text));
      }),
    );
  });

  it('changes nothing in ordinary text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'Z', ' ', 'ä', '漢', '😀', '\\', '"', '.', '\n', '\t') }),
        (text) => {
          expect(escapeText(text)).toBe(text);
        },
      ),
    );
  });

  it('of JSON keeps its value', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 0, max: 2 }), (text, indent) => {
        const value = { [text]: [text, 1, null] };
        const json = toSafeJson(value, indent);
        expect(json).not.toMatch(OBEYED);
        expect(JSON.parse(json)).toEqual(value);
      }),
    );
  });
});
