import { describe, expect, test } from 'vitest';
import {
  addDfloat11Config,
  parseDfloat11Config,
  pathsOfModule,
  patternExcess,
} from '../../../../../core/formats/dfloat11/dfloat11-config.ts';
import { newMatchBudget } from '../../../../../core/formats/dfloat11/module-pattern.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { OFFICIAL_CONFIG } from '../../../../helpers/official-dfloat11.ts';

function parse(changes: Record<string, unknown> = {}) {
  const config = { dfloat11_config: { ...OFFICIAL_CONFIG.dfloat11_config, ...changes } };
  return parseDfloat11Config(config, 'config.json');
}

describe('the official config', () => {
  const config = parseDfloat11Config(OFFICIAL_CONFIG, 'config.json');

  test('is read', () => {
    expect(config.version).toBe('0.5.0');
    const paths = pathsOfModule(config, 'model.layers.7', newMatchBudget(), 'config.json');
    expect(paths?.[0]).toBe('self_attn.q_proj');
    expect(pathsOfModule(config, 'model.layers.x', newMatchBudget(), 'config.json')).toBeNull();
  });

  test('gives a module the paths of the first pattern that matches it', () => {
    const two = parse({ pattern_dict: { 'a.*': ['x'], ab: ['y'] } });
    expect(pathsOfModule(two, 'ab', newMatchBudget(), 'config.json')).toEqual(['x']);
  });

  test('stops matching once the budget is spent', async () => {
    const error = await errorOf(() => pathsOfModule(config, 'model.layers.7', { steps: 3 }, 'config.json'));
    expect(error.code).toBe('MODEL_CONFIG_INVALID');
  });
});

describe('refuses', () => {
  const deep: unknown = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));

  test.each<[string, string, Record<string, unknown>]>([
    ['version 0.1.0', 'FORMAT_UNSUPPORTED_VERSION', { version: '0.1.0' }],
    ['a version that is a number', 'FORMAT_UNSUPPORTED_VERSION', { version: 0.5 }],
    [
      'a version that is an object without text',
      'FORMAT_UNSUPPORTED_VERSION',
      { version: { toString: 1, valueOf: 1 } },
    ],
    ['another number of threads', 'FORMAT_UNSUPPORTED_VERSION', { threads_per_block: [256] }],
    ['threads that are no list', 'FORMAT_UNSUPPORTED_VERSION', { threads_per_block: 512 }],
    ['threads in two dimensions', 'FORMAT_UNSUPPORTED_VERSION', { threads_per_block: [512, 1] }],
    ['threads that are lists in lists', 'FORMAT_UNSUPPORTED_VERSION', { threads_per_block: deep }],
    ['another number of bytes', 'FORMAT_UNSUPPORTED_VERSION', { bytes_per_thread: 16 }],
    ['bytes that are missing', 'FORMAT_UNSUPPORTED_VERSION', { bytes_per_thread: undefined }],
    ['a dictionary that is a list', 'MODEL_CONFIG_INVALID', { pattern_dict: [] }],
    ['a dictionary that is missing', 'MODEL_CONFIG_INVALID', { pattern_dict: null }],
    ['a pattern outside the grammar', 'MODEL_CONFIG_INVALID', { pattern_dict: { '(a+)+': [] } }],
    ['paths that are a text', 'MODEL_CONFIG_INVALID', { pattern_dict: { a: 'b' } }],
    ['a path that is a number', 'MODEL_CONFIG_INVALID', { pattern_dict: { a: ['b', 7] } }],
    ['100,001 paths', 'MODEL_CONFIG_INVALID', { pattern_dict: { a: Array(100_001).fill('b') } }],
    [
      '10,001 patterns',
      'MODEL_CONFIG_INVALID',
      { pattern_dict: Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`a${index}`, []])) },
    ],
    [
      'patterns of a million characters',
      'MODEL_CONFIG_INVALID',
      {
        pattern_dict: Object.fromEntries(
          Array.from({ length: 300 }, (_, index) => [`${'a'.repeat(4000)}${index}`, []]),
        ),
      },
    ],
  ])('%s', async (_, code, changes) => {
    const error = await errorOf(() => parse(changes));
    expect(error).toMatchObject({ code, where: { file: 'config.json' } });
    expect(error.what.length).toBeLessThan(500);
  });

  test.each([[null], [{}], [{ dfloat11_config: null }], [{ dfloat11_config: [] }]])('the config %j', async (config) => {
    expect((await errorOf(() => parseDfloat11Config(config, 'config.json'))).code).toBe('MODEL_CONFIG_INVALID');
  });
});

test('a dictionary within the limits has no excess', () => {
  expect(patternExcess(Array<string>(10_000).fill('a'.repeat(52)))).toBeNull();
  expect(patternExcess(Array<string>(10_000).fill('a'.repeat(53)))).toContain('530000 characters');
});

describe('a config is given the key', () => {
  const DICTIONARY = { 'model\\.layers\\.\\d+': ['mlp.up_proj'] };

  test.each([
    ['an empty object', '{}'],
    ['an object with spaces', ' { \n} \n'],
    ['one key', '{"a": 1.50}'],
    ['usual indentation', '{\n  "a": 1e-05,\n  "b": {\n    "c": NaN\n  }\n}\n'],
    ['a last value that ends like an object', '{"a": "}"}'],
    ['Windows line ends', '{\r\n  "a": 1\r\n}\r\n'],
    ['a text that speaks of it', '{"a": "\\"dfloat11_config\\": {}"}'],
    ['a key of that name inside another', '{"a": {"dfloat11_config": {}}}'],
  ])('where it has %s, and keeps its text', (_, text) => {
    const result = addDfloat11Config(text, DICTIONARY, 'config.json');
    const plain = JSON.parse(result.replace('NaN', 'null')) as Record<string, unknown>;
    expect(parseDfloat11Config(plain, 'config.json').patterns).toHaveLength(1);
    expect(result.startsWith(text.slice(0, text.lastIndexOf('}')).trimEnd())).toBe(true);
    expect(result.endsWith(text.slice(text.lastIndexOf('}')))).toBe(true);
    const { dfloat11_config: _added, ...rest } = plain;
    expect(rest).toEqual(JSON.parse(text.replace('NaN', 'null')));
  });

  test('in the official form', () => {
    const text = addDfloat11Config('{\n  "a": 1\n}', OFFICIAL_CONFIG.dfloat11_config.pattern_dict, 'config.json');
    expect(text).toBe(
      JSON.stringify({ a: 1, dfloat11_config: OFFICIAL_CONFIG.dfloat11_config }, null, 2).replace(/\n}$/, '\n}'),
    );
  });

  test.each([
    ['has it already', '{"dfloat11_config": {}}'],
    ['has it already, escaped', '{"dfloat11\\u005fconfig": null}'],
    ['is a list', '[]'],
    ['is not JSON', '{'],
  ])('but not where it %s', async (_, text) => {
    const error = await errorOf(() => addDfloat11Config(text, DICTIONARY, 'config.json'));
    expect(error.code).toBe('MODEL_CONFIG_INVALID');
  });
});
