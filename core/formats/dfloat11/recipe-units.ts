import { UsageError, type ErrorCode } from '../../errors.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { elementsOf, MAX_UNIT_ELEMENTS, type Unit } from './auto-units.ts';
import { compileModulePattern, newMatchBudget, type MatchBudget } from './module-pattern.ts';
import { unitTensorNames } from './module-names.ts';
import type { PatternDictionary } from './unit-patterns.ts';

/** The modules that a pattern of the recipe stands for; it can be kept as written while all of them are whole units. */
export interface GivenPattern {
  pattern: string;
  paths: readonly string[];
  modules: string[];
}

/**
 * Forms the units that a recipe's pattern dictionary asks for. Tensors that DFloat11 cannot hold are left out, with a note.
 *
 * @param modules every module of the model
 * @param codable by name, the tensors that may be coded
 * @throws UsageError RECIPE_INVALID_PATTERN (outside the grammar, matching nothing, or taking too long),
 * RECIPE_INVALID_VALUE (a path that no matched module has, units that share a module or lie within one another)
 */
export function unitsOfRecipe(
  dictionary: PatternDictionary,
  modules: readonly string[],
  codable: ReadonlyMap<string, ModelTensor>,
  stored: ReadonlySet<string>,
): { units: Unit[]; given: GivenPattern[]; notes: string[] } {
  const units = new Map<string, Unit>();
  const given: GivenPattern[] = [];
  const notes: string[] = [];
  const budget = newMatchBudget();
  for (const [pattern, paths] of Object.entries(dictionary)) {
    const matched = matchModules(pattern, modules, budget);
    checkPaths(pattern, paths, matched, stored);
    given.push({ pattern, paths, modules: matched });
    for (const module of matched) {
      if (units.has(module)) {
        throw refuse(
          'RECIPE_INVALID_VALUE',
          `two patterns match module ${quoted(module)}, the second is ${quoted(pattern)}`,
        );
      }
      units.set(module, formUnit(module, paths, codable, notes));
    }
  }
  for (const module of units.keys()) checkNotNested(module, units);
  return { units: [...units.values()].filter(({ tensors }) => tensors.length > 0), given, notes };
}

function matchModules(pattern: string, modules: readonly string[], budget: MatchBudget): string[] {
  const compiled = compileModulePattern(pattern);
  if ('problem' in compiled) {
    throw refuse('RECIPE_INVALID_PATTERN', `the pattern ${quoted(pattern)} ${compiled.problem}`);
  }
  const matched = modules.filter((module) => compiled.matches(module, budget));
  if (budget.steps < 0)
    throw refuse('RECIPE_INVALID_PATTERN', `the pattern ${quoted(pattern)} takes too long to match`);
  if (matched.length === 0)
    throw refuse('RECIPE_INVALID_PATTERN', `the pattern ${quoted(pattern)} matches no module of the model`);
  return matched;
}

function checkPaths(
  pattern: string,
  paths: readonly string[],
  matched: readonly string[],
  stored: ReadonlySet<string>,
): void {
  if (new Set(paths).size !== paths.length) {
    throw refuse('RECIPE_INVALID_VALUE', `the list of pattern ${quoted(pattern)} names a path twice`);
  }
  const isStored = (module: string, path: string[]) => unitTensorNames(module, path).every((name) => stored.has(name));
  for (const path of paths.length === 0 ? [[]] : paths.map((one) => [one])) {
    if (matched.some((module) => isStored(module, path))) continue;
    const found = path[0] === undefined ? 'no weight of its own' : `no matrix ${quoted(path[0])}`;
    throw refuse('RECIPE_INVALID_VALUE', `a module that pattern ${quoted(pattern)} matches has ${found}`);
  }
}

function formUnit(
  module: string,
  paths: readonly string[],
  codable: ReadonlyMap<string, ModelTensor>,
  notes: string[],
): Unit {
  const kept: string[] = [];
  const tensors: ModelTensor[] = [];
  let elements = 0;
  for (const path of paths.length === 0 ? [null] : paths) {
    const [name = ''] = unitTensorNames(module, path === null ? [] : [path]);
    const tensor = codable.get(name);
    const more = tensor ? elementsOf([tensor]) : 0;
    if (!tensor)
      notes.push(`Tensor ${quoted(name)} stays out of its unit: it is missing, skipped, tied, or no BF16 matrix.`);
    else if (elements + more > MAX_UNIT_ELEMENTS) {
      notes.push(`Tensor ${quoted(name)} stays plain: its unit would have more than 2^31 - 1 elements.`);
    } else {
      if (path !== null) kept.push(path);
      tensors.push(tensor);
      elements += more;
    }
  }
  return { module, paths: kept, tensors };
}

/** The official loader decodes every unit into one buffer: a unit inside another would overwrite it. */
function checkNotNested(module: string, units: ReadonlyMap<string, Unit>): void {
  for (let dot = module.lastIndexOf('.'); dot > 0; dot = module.lastIndexOf('.', dot - 1)) {
    const outer = module.slice(0, dot);
    if (units.has(outer)) {
      throw refuse('RECIPE_INVALID_VALUE', `the unit ${quoted(module)} lies within the unit ${quoted(outer)}`);
    }
  }
}

function refuse(code: ErrorCode, found: string): UsageError {
  return new UsageError({
    code,
    what: `In "units" ${found}.`,
    whatToDo: 'Change "units" in the recipe, or set it to auto.',
  });
}
