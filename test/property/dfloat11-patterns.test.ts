import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readDfloat11Folder } from '../../core/formats/dfloat11/dfloat11-folder.ts';
import { compileModulePattern } from '../../core/formats/dfloat11/module-pattern.ts';
import { unitsOfRecipe } from '../../core/formats/dfloat11/recipe-units.ts';
import { buildPatternDictionary, type PatternedUnit } from '../../core/formats/dfloat11/unit-patterns.ts';
import { openModel } from '../../core/model/open-model.ts';
import { buildDfloat11 } from '../helpers/build-dfloat11.ts';
import { errorOf } from '../helpers/error-of.ts';

const MODULE_PARTS = [
  'model',
  'layers',
  'h',
  '0',
  '1',
  '2',
  '10',
  '007',
  '#',
  'a.b',
  '(x)',
  '\\d+',
  'é',
  '\u{1f600}',
  '-',
];

/** Module names of few parts, so that forms and indices meet often; among them names that look like patterns. */
const moduleName = fc
  .array(fc.constantFrom(...MODULE_PARTS), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('.'));

const modulesWithUnits = fc
  .uniqueArray(moduleName, { minLength: 1, maxLength: 30 })
  .chain((modules) => fc.record({ modules: fc.constant(modules), chosen: fc.subarray(modules, { minLength: 1 }) }))
  .chain(({ modules, chosen }) => {
    const paths = fc.constantFrom<string[]>([], ['q'], ['q', 'k']);
    const lists = fc.array(paths, { minLength: chosen.length, maxLength: chosen.length });
    return lists.map((all) => {
      const units = chosen.map((module, index): PatternedUnit => ({ module, paths: all[index] ?? [] }));
      return { modules, units };
    });
  });

/** Lists of paths of the patterns that match a module, as our own matcher and as JavaScript's expressions see it. */
function matching(dictionary: Record<string, readonly string[]>, module: string) {
  const entries = Object.entries(dictionary);
  const own = entries.filter(([pattern]) => {
    const compiled = compileModulePattern(pattern);
    if ('problem' in compiled) throw new Error(`${pattern} ${compiled.problem}`);
    return compiled.matches(module);
  });
  const builtIn = entries.filter(([pattern]) => new RegExp(`^(?:${pattern})$`).test(module));
  return { own: own.map(([, paths]) => paths), builtIn: builtIn.map(([, paths]) => paths) };
}

test('a pattern dictionary matches exactly the modules of its units, each with its paths', () => {
  fc.assert(
    fc.property(modulesWithUnits, ({ modules, units }) => {
      const dictionary = buildPatternDictionary(units, modules);
      for (const module of modules) {
        const unit = units.find((candidate) => candidate.module === module);
        const expected = unit ? [unit.paths] : [];
        expect(matching(dictionary, module)).toEqual({ own: expected, builtIn: expected });
      }
    }),
    { numRuns: 2000 },
  );
});

test('patterns stay short enough for a reader, however many indices they name and however long these are', () => {
  const index = fc.oneof(fc.nat(3000).map(String), fc.bigInt({ min: 0n, max: 10n ** 40n }).map(String));
  const pairs = fc.uniqueArray(fc.tuple(fc.nat(40), index), { minLength: 1, maxLength: 600, selector: String });
  fc.assert(
    fc.property(pairs, (all) => {
      const modules = all.map(([layer, expert]) => `model.layers.${layer}.mlp.experts.${expert}`);
      const units = modules.slice(1).map((module) => ({ module, paths: ['up_proj'] }));
      const dictionary = buildPatternDictionary(units, modules);
      for (const pattern of Object.keys(dictionary))
        expect(compileModulePattern(pattern)).not.toHaveProperty('problem');
    }),
    { numRuns: 50 },
  );
});

/** Costs its length for every character of a name of digits. */
const SLOW = `${'\\d*'.repeat(1300)}x`;
/** Both take about 5 seconds on a quiet machine; without a limit an hour. */
const LIMIT_MS = 45_000;

test('patterns made to take for ever are refused within seconds in a folder', async () => {
  const patterns = Array.from({ length: 100 }, (_, index) => [`${SLOW}${index}`, []]);
  const units = Array.from({ length: 300 }, (_, index) => {
    return { name: `${'1'.repeat(990)}${index}.sign_mantissa`, dtype: 'U8' as const, shape: [1] };
  });
  const files = buildDfloat11({ dfloat11: { pattern_dict: Object.fromEntries(patterns) as object }, more: units });
  const model = await openModel('/m', files);
  if (model.kind !== 'dfloat11') throw new Error(`opened as ${model.kind}`);
  const started = performance.now();
  expect((await errorOf(() => readDfloat11Folder(model, files))).code).toBe('MODEL_CONFIG_INVALID');
  expect(performance.now() - started).toBeLessThan(LIMIT_MS);
});

test('patterns made to take for ever are refused within seconds in a recipe', async () => {
  const modules = Array.from({ length: 1000 }, (_, index) => `${'1'.repeat(990)}${index}`);
  const started = performance.now();
  const error = await errorOf(() => unitsOfRecipe({ [SLOW]: [] }, modules, new Map(), new Set()));
  expect(error.code).toBe('RECIPE_INVALID_PATTERN');
  expect(error.what).toContain('too long');
  expect(performance.now() - started).toBeLessThan(LIMIT_MS);
});
