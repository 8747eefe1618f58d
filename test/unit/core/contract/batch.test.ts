import { describe, expect, test } from 'vitest';
import { parseBatch } from '../../../../core/contract/batch.ts';
import { UsageError } from '../../../../core/errors.ts';
import { errorOf } from '../../../helpers/error-of.ts';

const VALID = `lathe: 1
models: [../a, ../b]
recipes: [q4.yaml]
output: out
`;

test('has every default filled in', () => {
  expect(parseBatch(VALID, 'b.yaml')).toEqual({
    lathe: 1,
    models: ['../a', '../b'],
    recipes: ['q4.yaml'],
    output: 'out',
    concurrency: 1,
  });
});

const REFUSED: [what: string, code: string, text: string, line: number, column: number][] = [
  ['no YAML', 'BATCH_SYNTAX', 'lathe: [', 1, 9],
  ['an unknown key', 'BATCH_UNKNOWN_KEY', `${VALID}retries: 3\n`, 5, 1],
  ['another version', 'BATCH_INVALID_VALUE', VALID.replace('lathe: 1', 'lathe: 2'), 1, 1],
  ['no models', 'BATCH_INVALID_VALUE', VALID.replace('[../a, ../b]', '[]'), 2, 1],
  ['a model that is no path', 'BATCH_INVALID_VALUE', VALID.replace('../b', '7'), 2, 16],
  ['no concurrency', 'BATCH_INVALID_VALUE', `${VALID}concurrency: 0\n`, 5, 1],
  ['half a job at once', 'BATCH_INVALID_VALUE', `${VALID}concurrency: 1.5\n`, 5, 1],
  ['a batch without output', 'BATCH_INVALID_VALUE', VALID.replace('output: out\n', ''), 1, 1],
];

describe('refuses', () => {
  test.each(REFUSED)('%s, with line and column', async (_, code, text, line, column) => {
    const error = await errorOf(() => parseBatch(text, 'b.yaml'));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code, where: { file: 'b.yaml', line, column } });
    expect(error.what).toContain(`"b.yaml", line ${line}, column ${column}: `);
  });
});
