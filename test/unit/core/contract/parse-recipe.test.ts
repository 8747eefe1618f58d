import { describe, expect, test } from 'vitest';
import { parseRecipe } from '../../../../core/contract/parse-recipe.ts';
import { UsageError } from '../../../../core/errors.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const VALID = `lathe: 1
name: mine
steps:
  - step: encode
    codec: dfloat11
overrides:
  - { match: "lm_head|embed_tokens", skip: true }
`;

function parse(text: string) {
  return parseRecipe(text, 'mine.yaml');
}

test('gives a recipe with its defaults', () => {
  expect(parse(VALID)).toEqual({
    lathe: 1,
    name: 'mine',
    steps: [{ step: 'encode', codec: 'dfloat11', units: 'auto' }],
    overrides: [{ match: 'lm_head|embed_tokens', skip: true }],
  });
});

test('takes JSON', () => {
  expect(parse('{"lathe":1,"steps":[{"step":"encode","codec":"split-plane","coder":"huff12"}]}')).toMatchObject({
    steps: [{ coder: 'huff12' }],
  });
});

const REFUSED: [title: string, code: string, text: string, line: number, column: number][] = [
  ['a syntax error', 'RECIPE_SYNTAX', 'lathe: 1\nsteps: [', 2, 9],
  ['a repeated key', 'RECIPE_SYNTAX', `${VALID}name: again\n`, 8, 1],
  ['lists in lists', 'RECIPE_SYNTAX', '['.repeat(5000), 1, 34],
  ['an unknown key', 'RECIPE_UNKNOWN_KEY', `${VALID}nmae: x\n`, 8, 1],
  [
    'an unknown key of a step',
    'RECIPE_UNKNOWN_KEY',
    VALID.replace('codec: dfloat11', 'codec: dfloat11\n    coder: x'),
    6,
    5,
  ],
  ['an unknown key of an override', 'RECIPE_UNKNOWN_KEY', VALID.replace('skip: true', 'skip: true, x: 1'), 7, 50],
  ['a key named like a part of objects', 'RECIPE_UNKNOWN_KEY', `${VALID}__proto__: {}\n`, 8, 1],
  ['another version', 'RECIPE_INVALID_VALUE', VALID.replace('lathe: 1', 'lathe: 2'), 1, 1],
  ['an unknown codec', 'RECIPE_INVALID_VALUE', VALID.replace('dfloat11', 'gzip'), 5, 5],
  ['a codec that is an object', 'RECIPE_INVALID_VALUE', VALID.replace('dfloat11', '{toString: 1}'), 5, 5],
  ['units that are a list', 'RECIPE_INVALID_VALUE', VALID.replace('dfloat11', 'dfloat11\n    units: [a]'), 6, 5],
  ['a text that is no recipe', 'RECIPE_INVALID_VALUE', 'hello', 1, 1],
  ['an empty text', 'RECIPE_INVALID_VALUE', '', 1, 1],
  [
    'two steps',
    'RECIPE_NOT_SUPPORTED',
    VALID.replace('overrides:', '  - {step: encode, codec: dfloat11}\noverrides:'),
    6,
    5,
  ],
  ['limits without a measurement', 'RECIPE_INVALID_VALUE', `${VALID}limits: {klDivergence: 1}\n`, 8, 1],
  ['a text that is no list', 'RECIPE_INVALID_VALUE', `${VALID}calibration: {text: a}\n`, 8, 15],
];

describe('refuses', () => {
  test.each(REFUSED)('%s, with line and column', async (_, code, text, line, column) => {
    const error = await errorOf(() => parse(text));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code, where: { file: 'mine.yaml', line, column } });
    expect(error.what).toContain(`"mine.yaml", line ${line}, column ${column}: `);
  });

  test.each([
    ['a key', '{"\\u001b[2J": 1}'],
    ['a tag', 'lathe: !\u009b2J 1'],
    ['a pattern', '{"lathe":1,"steps":[{"step":"encode","codec":"dfloat11","units":{"\\u001b[2J":1}}]}'],
  ])('without letting %s move the cursor of a terminal', async (_, text) => {
    // eslint-disable-next-line no-control-regex -- control characters are what this looks for
    expect((await errorOf(() => parse(text))).what).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});
