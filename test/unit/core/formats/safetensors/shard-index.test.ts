import { expect, test } from 'vitest';
import { parseShardIndex } from '../../../../../core/formats/safetensors/shard-index.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

function parse(json: string) {
  return parseShardIndex(new TextEncoder().encode(json), 'model.safetensors.index.json');
}

test('gives the file of each tensor, and each file once', () => {
  const index = parse(
    '{"metadata":{"total_size":1.5e10},"weight_map":{"b":"2.safetensors","a":"1.safetensors","c":"2.safetensors"}}',
  );
  expect([...index.weightMap]).toEqual([
    ['b', '2.safetensors'],
    ['a', '1.safetensors'],
    ['c', '2.safetensors'],
  ]);
  expect(index.shards).toEqual(['1.safetensors', '2.safetensors']);
});

test('takes a file in a subfolder', () => {
  expect(parse('{"weight_map":{"a":"parts/1.safetensors"}}').shards).toEqual(['parts/1.safetensors']);
});

const OUTSIDE = [
  '../x.safetensors',
  '/x.safetensors',
  'a/../../x.safetensors',
  'a\\\\x.safetensors',
  'C:x.safetensors',
  './x.safetensors',
  'a//x.safetensors',
  '',
  'x\\u0000.safetensors',
];

test.each(OUTSIDE)('refuses the file name "%s"', async (name) => {
  const error = await errorOf(() => parse(`{"weight_map":{"a":"${name}"}}`));
  expect(error.code).toBe('MODEL_FILE_OUTSIDE_FOLDER');
  expect(error.where.tensor).toBe('a');
});

test.each([
  ['text that is not JSON', 'MODEL_INDEX_INVALID', '{"weight_map":'],
  ['a list', 'MODEL_INDEX_INVALID', '[]'],
  ['no weight_map', 'MODEL_INDEX_INVALID', '{}'],
  ['a weight_map that is a list', 'MODEL_INDEX_INVALID', '{"weight_map":["a"]}'],
  ['an empty weight_map', 'MODEL_INDEX_INVALID', '{"weight_map":{}}'],
  ['a file name that is a number', 'MODEL_INDEX_INVALID', '{"weight_map":{"a":1}}'],
  ['a file that is no safetensors file', 'MODEL_INDEX_INVALID', '{"weight_map":{"a":"x.npz"}}'],
  ['a pickle', 'MODEL_PICKLE_REFUSED', '{"weight_map":{"a":"x.bin"}}'],
  ['a tensor named twice', 'FORMAT_DUPLICATE_KEY', '{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}'],
  ['deep nesting', 'FORMAT_HEADER_TOO_DEEP', `{"metadata":${'['.repeat(1000)}`],
])('refuses %s', async (_, code, json) => {
  expect((await errorOf(() => parse(json))).code).toBe(code);
});
