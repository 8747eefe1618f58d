import { expect, test } from 'vitest';
import { JSON_SCHEMAS } from '../../../../core/contract/json-schemas.ts';

test.each(['recipe', 'batch', 'result'] as const)(
  'the schema of a %s is plain JSON, closed where people write',
  (name) => {
    const schema = JSON_SCHEMAS[name]();
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
    expect(schema).toMatchObject({ type: 'object', title: expect.any(String) });
    expect(schema['additionalProperties']).toBe(name === 'result' ? undefined : false);
  },
);

test('what has a default may be missing from a recipe', () => {
  expect(JSON_SCHEMAS.recipe()['required']).toEqual(['lathe', 'steps']);
});
