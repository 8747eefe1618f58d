import { ModelError, UsageError } from '../../errors.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import { EMBEDDING_PAIRS } from '../../model/model-config.ts';
import { quoted } from '../../quoted.ts';
import { encodeUtf8 } from '../../utf8.ts';
import { elementCount } from '../safetensors/tensor-size.ts';
import { chooseUnits, type Unit } from './auto-units.ts';
import { patternExcess } from './dfloat11-config.ts';
import { modulesAround, weightModule } from './module-names.ts';
import { unitsOfRecipe, type GivenPattern } from './recipe-units.ts';
import { isUnitMark, splitFieldName } from './unit-fields.ts';
import { buildPatternDictionary, type PatternDictionary } from './unit-patterns.ts';

export interface PlannedUnit extends Unit {
  /** Name of its file in the output folder: the module's, dots as underscores. */
  file: string;
  /** Plain tensors of the same module (norms, biases): they go into the same file. */
  companions: ModelTensor[];
}

/** How a model will be stored as DFloat11. */
export interface UnitPlan {
  units: PlannedUnit[];
  /** Plain tensors outside all units' modules: they go into `REMAINDER_FILE`. */
  remainder: ModelTensor[];
  patternDictionary: PatternDictionary;
  /** Whole sentences on what stays plain, and why. */
  notes: string[];
  /** What the plan was made of; `withoutUnits` plans again from it. */
  basis: PlanBasis;
}

interface PlanBasis {
  tensors: readonly ModelTensor[];
  /** Every module of the model. */
  modules: readonly string[];
  given: readonly GivenPattern[];
}

export interface UnitOptions {
  units: 'auto' | PatternDictionary;
  /** Names of tensors that stay plain. */
  skip: ReadonlySet<string>;
  tiedEmbeddings: boolean;
}

/** Holds every tensor that no unit's file holds. */
export const REMAINDER_FILE = 'model.safetensors';

/** What every file system can hold in the name of a unit's file, and short enough for its limit of 255 bytes. */
const FILE_NAME = /^[^\p{Cc}/\\:*?"<>|]+$/u;
const MAX_FILE_NAME_BYTES = 200;

/**
 * Groups a model's BF16 matrices into DFloat11 units, and writes the pattern dictionary by which the official loader finds
 * them. Everything else stays plain.
 *
 * Source: DFloat11 0.5.0, `compress_model` and `pattern_dict`.
 * @throws UsageError RECIPE_INVALID_PATTERN, RECIPE_INVALID_VALUE, RECIPE_NOT_SUPPORTED (a pattern dictionary beyond the
 * readers' limits); ModelError MODEL_NAME_COLLISION
 */
export function planUnits(tensors: readonly ModelTensor[], options: UnitOptions): UnitPlan {
  const tied = new Set(options.tiedEmbeddings ? EMBEDDING_PAIRS.flat() : []);
  const codable = tensors.filter(
    (tensor) => isCodable(tensor) && !options.skip.has(tensor.name) && !isTied(tensor, tied),
  );
  const modules = modulesOf(tensors);
  if (options.units === 'auto') {
    const { units, notes } = chooseUnits(codable, options.tiedEmbeddings);
    return planNamed(units, notes, { tensors, modules, given: [] });
  }
  const byName = new Map(codable.map((tensor) => [tensor.name, tensor]));
  const stored = new Set(tensors.map(({ name }) => name));
  const { units, given, notes } = unitsOfRecipe(options.units, modules, byName, stored);
  return planNamed(units, notes, { tensors, modules, given });
}

/** Leaves out the units whose names make no file names. */
function planNamed(units: readonly Unit[], notes: string[], basis: PlanBasis): UnitPlan {
  const isNamed = ({ module }: Unit) => FILE_NAME.test(module) && encodeUtf8(module).length <= MAX_FILE_NAME_BYTES;
  const nameless = units.filter((unit) => !isNamed(unit));
  const more = nameless.map(({ module }) => `Unit ${quoted(module)} stays plain: its name makes no file name.`);
  return finishPlan(units.filter(isNamed), [...notes, ...more], basis);
}

/**
 * Takes units apart again: their tensors become plain, and the pattern dictionary no longer matches their modules.
 *
 * @param refusals module → why it cannot be a unit, as the end of a sentence
 */
export function withoutUnits(plan: UnitPlan, refusals: ReadonlyMap<string, string>): UnitPlan {
  const notes = plan.units
    .filter(({ module }) => refusals.has(module))
    .map(({ module }) => `Unit ${quoted(module)} stays plain: ${refusals.get(module) ?? ''}.`);
  const kept = plan.units.filter(({ module }) => !refusals.has(module));
  return finishPlan(kept, [...plan.notes, ...notes], plan.basis);
}

/**
 * Takes tensors out of their units: they become plain, in the files of their modules, and the pattern dictionary no longer
 * names them. A unit that loses its last tensor is one no more.
 *
 * @param refusals tensor → why it cannot be coded, as the end of a sentence
 */
export function withoutTensors(plan: UnitPlan, refusals: ReadonlyMap<string, string>): UnitPlan {
  const notes = [...refusals].map(([tensor, why]) => `Tensor ${quoted(tensor)} stays plain: ${why}.`);
  const units = plan.units.map(({ module, paths, tensors }): Unit => {
    const isKept = (index: number) => !refusals.has(tensors[index]?.name ?? '');
    return {
      module,
      paths: paths.filter((_, index) => isKept(index)),
      tensors: tensors.filter((_, index) => isKept(index)),
    };
  });
  const kept = units.filter(({ tensors }) => tensors.length > 0);
  return finishPlan(kept, [...plan.notes, ...notes], plan.basis);
}

/** A BF16 matrix that is some module's `weight`: what the official loader can put back. */
function isCodable({ name, dtype, shape }: ModelTensor): boolean {
  return dtype === 'BF16' && shape.length === 2 && weightModule(name) !== null && elementCount(shape) !== 0;
}

/** Of tied embeddings the official loader would leave one without values. */
function isTied({ name }: ModelTensor, tied: ReadonlySet<string>): boolean {
  return tied.has(weightModule(name) ?? '');
}

function modulesOf(tensors: readonly ModelTensor[]): string[] {
  return [...new Set(tensors.flatMap(({ name }) => modulesAround(name)))];
}

function finishPlan(units: readonly Unit[], notes: string[], basis: PlanBasis): UnitPlan {
  const coded = new Set(units.flatMap(({ tensors }) => tensors.map(({ name }) => name)));
  const planned = new Map(
    units.map(({ module, paths, tensors }): [string, PlannedUnit] => {
      return [module, { module, paths, tensors, file: `${module.replaceAll('.', '_')}.safetensors`, companions: [] }];
    }),
  );
  const remainder: ModelTensor[] = [];
  for (const tensor of basis.tensors) {
    if (coded.has(tensor.name)) continue;
    const module = modulesAround(tensor.name).find((outer) => planned.has(outer));
    (planned.get(module ?? '')?.companions ?? remainder).push(tensor);
  }
  checkFileNames(planned.values());
  checkTensorNames(planned, basis.tensors);
  const result = [...planned.values()];
  return { units: result, remainder, patternDictionary: dictionaryOf(result, basis), notes, basis };
}

/** Patterns of the recipe are kept as written while they still match whole units only. */
function dictionaryOf(units: readonly PlannedUnit[], { modules, given }: PlanBasis): PatternDictionary {
  const byModule = new Map(units.map((unit) => [unit.module, unit]));
  const isWhole = ({ modules: matched, paths }: GivenPattern) => {
    const count = Math.max(1, paths.length);
    return matched.every((module) => byModule.get(module)?.tensors.length === count);
  };
  const kept = given.filter(isWhole);
  const covered = new Set(kept.flatMap(({ modules: matched }) => matched));
  const others = units.filter(({ module }) => !covered.has(module));
  const dictionary = {
    ...Object.fromEntries(kept.map(({ pattern, paths }) => [pattern, paths])),
    ...buildPatternDictionary(others, modules),
  };
  const excess = patternExcess(Object.keys(dictionary));
  if (excess === null) return dictionary;
  throw new UsageError({
    code: 'RECIPE_NOT_SUPPORTED',
    what: `DFloat11's pattern dictionary for this model would have ${excess}.`,
    whatToDo: 'Use the codec split-plane for this model.',
  });
}

function checkFileNames(units: Iterable<PlannedUnit>): void {
  const moduleByFile = new Map([[REMAINDER_FILE, 'what is left over']]);
  for (const { module, file } of units) {
    // Some file systems do not tell capitals from small letters.
    const other = moduleByFile.get(file.toLowerCase());
    if (other !== undefined) throw collision(module, `${quoted(file)} would also hold ${quoted(other)}`);
    moduleByFile.set(file.toLowerCase(), module);
  }
}

/** No tensor of the model may be taken for a unit's field when the folder is read again. */
function checkTensorNames(units: ReadonlyMap<string, PlannedUnit>, tensors: readonly ModelTensor[]): void {
  for (const { name } of tensors) {
    const parts = splitFieldName(name);
    if (!parts) continue;
    if (units.has(parts.module))
      throw collision(parts.module, `the model has a tensor named like its field ${quoted(name)}`);
    if (isUnitMark(parts.field)) {
      throw new ModelError({
        code: 'MODEL_NAME_COLLISION',
        what: `Tensor ${quoted(name)} has the name of a DFloat11 field.`,
        where: { tensor: name },
        whatToDo: 'Use the codec split-plane for this model.',
      });
    }
  }
}

function collision(module: string, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_NAME_COLLISION',
    what: `Unit ${quoted(module)} cannot be written: ${found}.`,
    where: { tensor: module },
    whatToDo: 'Skip the tensors of this unit with an override in the recipe.',
  });
}
