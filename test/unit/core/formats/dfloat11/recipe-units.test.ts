import { describe, expect, test } from 'vitest';
import { unitsOfRecipe } from '../../../../../core/formats/dfloat11/recipe-units.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { placeTensors } from '../../../../helpers/llama-tensors.ts';

const TENSORS = placeTensors(
  ['m.0.q', 'm.0.k', 'm.1.q', 'm.1.k', 'head'].map((path) => ({ name: `${path}.weight`, shape: [4, 4] })),
);
const MODULES = ['m', 'm.0', 'm.0.q', 'm.0.k', 'm.1', 'm.1.q', 'm.1.k', 'head'];

function form(dictionary: Record<string, string[]>, codable = TENSORS) {
  const byName = new Map(codable.map((tensor) => [tensor.name, tensor]));
  return unitsOfRecipe(dictionary, MODULES, byName, new Set(TENSORS.map(({ name }) => name)));
}

test('gives the units of each pattern, and the modules that it stands for', () => {
  const { units, given, notes } = form({ 'm\\.\\d+': ['k', 'q'], head: [] });
  expect(units.map(({ module, paths }) => [module, paths])).toEqual([
    ['m.0', ['k', 'q']],
    ['m.1', ['k', 'q']],
    ['head', []],
  ]);
  expect(units[0]!.tensors.map(({ name }) => name)).toEqual(['m.0.k.weight', 'm.0.q.weight']);
  expect(given.map(({ modules }) => modules)).toEqual([['m.0', 'm.1'], ['head']]);
  expect(notes).toEqual([]);
});

test('leaves out, with a note, what cannot be coded; a unit of nothing is none', () => {
  const codable = TENSORS.filter(({ name }) => !name.startsWith('m.1') && name !== 'm.0.q.weight');
  const { units, notes } = form({ 'm\\.\\d+': ['q', 'k'] }, codable);
  expect(units.map(({ module, paths }) => [module, paths])).toEqual([['m.0', ['k']]]);
  expect(notes).toHaveLength(3);
});

test('leaves out what would take a unit above 2^31 - 1 elements', () => {
  const codable = TENSORS.map((tensor) => ({ ...tensor, shape: [2 ** 15, 2 ** 15] }));
  const { units, notes } = form({ 'm\\.0': ['q', 'k'] }, codable);
  expect(units[0]!.paths).toEqual(['q']);
  expect(notes).toEqual([expect.stringContaining('"m.0.k.weight"')]);
});

describe('refuses', () => {
  test.each<[string, string, Record<string, string[]>]>([
    ['a pattern outside the grammar', 'RECIPE_INVALID_PATTERN', { '(?=m)': [] }],
    ['a pattern that matches no module', 'RECIPE_INVALID_PATTERN', { 'n\\.\\d+': ['q'] }],
    ['a path that no module has', 'RECIPE_INVALID_VALUE', { 'm\\.\\d+': ['q', 'v'] }],
    ['a path twice', 'RECIPE_INVALID_VALUE', { 'm\\.\\d+': ['q', 'q'] }],
    ['a module without a weight of its own', 'RECIPE_INVALID_VALUE', { 'm\\.\\d+': [] }],
    ['two patterns for one module', 'RECIPE_INVALID_VALUE', { 'm\\.\\d+': ['q'], 'm\\.0': ['k'] }],
    ['a unit within another', 'RECIPE_INVALID_VALUE', { 'm\\.0': ['k'], 'm\\.0\\.q': [] }],
    ['a unit within another, the other way round', 'RECIPE_INVALID_VALUE', { 'm\\.0\\.q': [], 'm\\.0': ['k'] }],
  ])('%s', async (_, code, dictionary) => {
    expect((await errorOf(() => form(dictionary))).code).toBe(code);
  });
});
