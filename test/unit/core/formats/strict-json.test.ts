import { describe, expect, test } from 'vitest';
import { FormatError, ModelError } from '../../../../core/errors.ts';
import { parseStrictJson, type StrictJsonOptions } from '../../../../core/formats/strict-json.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const OPTIONS: StrictJsonOptions = {
  file: 'x.json',
  offsetBytes: 8,
  limits: { maxDepth: 4, maxObjectMembers: 3, maxArrayItems: 3, wholeNumbersOnly: true },
  syntaxCode: 'FORMAT_HEADER_NOT_JSON',
  rootKeysAreTensors: true,
};

function parse(text: string | Uint8Array, changes: Partial<StrictJsonOptions> = {}) {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return parseStrictJson(bytes, { ...OPTIONS, ...changes });
}

test('gives the value, and the keys in the order of the text', () => {
  expect(parse('{"b":[1],"1":{}}')).toEqual({ value: { b: [1], 1: {} }, keys: ['b', '1'] });
});

describe('refuses', () => {
  test.each([
    ['nothing', 'FORMAT_HEADER_NOT_JSON', '', 8],
    ['a list', 'FORMAT_HEADER_NOT_JSON', '[]', 8],
    ['a space before the object', 'FORMAT_HEADER_NOT_JSON', ' {}', 8],
    ['bytes that are not UTF-8', 'FORMAT_HEADER_NOT_JSON', Uint8Array.of(0x7b, 0xff, 0x7d), 8],
    ['text after the object', 'FORMAT_HEADER_NOT_JSON', '{}{}', 8],
    ['an object without end', 'FORMAT_HEADER_NOT_JSON', '{"a":1', 8],
    ['a level too many', 'FORMAT_HEADER_TOO_DEEP', '{"a":[[[[', 16],
    ['a member too many', 'FORMAT_HEADER_TOO_LARGE', '{"a":1,"b":2,"c":3,"d":4}', 26],
    ['a repeated key', 'FORMAT_DUPLICATE_KEY', '{"é":1,"é":2}', 16],
    ['half of a character in a key', 'FORMAT_HEADER_INVALID', '{"\\ud800":1}', 9],
    ['a fraction', 'FORMAT_OFFSET_NOT_INTEGER', '{"a":1.5}', 13],
  ])('%s, with the byte at which it was met', async (_, code, text, byteOffset) => {
    const error = await errorOf(() => parse(text));
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ code, where: { file: 'x.json', byteOffset } });
  });

  test('an index in its own words', async () => {
    const error = await errorOf(() => parse('{', { syntaxCode: 'MODEL_INDEX_INVALID' }));
    expect(error).toBeInstanceOf(ModelError);
    expect(error.code).toBe('MODEL_INDEX_INVALID');
  });

  test('with the tensor only where the keys of the root are tensors', async () => {
    const text = '{"a":{"x":1,"x":2}}';
    expect((await errorOf(() => parse(text))).where.tensor).toBe('a');
    expect((await errorOf(() => parse(text, { rootKeysAreTensors: false }))).where.tensor).toBeUndefined();
  });
});
