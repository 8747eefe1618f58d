import { UsageError } from '../errors.ts';
import { isBlockFormat, mixOfFormat, type QuantizedFormat } from './quantized-formats.ts';
import type { QuantizeStep, Recipe, RecipeOverride } from './recipe.ts';

/** What a recipe asks for that cannot be. */
export interface RecipeFault {
  /** Keys and indexes of the place in the recipe. */
  path: PropertyKey[];
  /** RECIPE_NOT_SUPPORTED: a later release brings it. RECIPE_INVALID_VALUE: its parts contradict each other. */
  code: 'RECIPE_NOT_SUPPORTED' | 'RECIPE_INVALID_VALUE';
  /** As a sentence without its end. */
  what: string;
  whatToDo: string;
}

const BUILT_METHODS: readonly string[] = ['rtn', 'gptq'];

/** The first thing in a recipe that this release cannot do, or that contradicts itself; null where it can run. */
export function recipeFault(recipe: Recipe): RecipeFault | null {
  return firstOf([
    () => textsFault(recipe),
    () => stepsFault(recipe),
    () => overridesFault(recipe),
    () => limitsFault(recipe),
  ]);
}

/** @throws UsageError RECIPE_NOT_SUPPORTED, RECIPE_INVALID_VALUE: for recipes that did not come from a text. */
export function requireSupported(recipe: Recipe): void {
  const fault = recipeFault(recipe);
  if (fault === null) return;
  const { path, code, what, whatToDo } = fault;
  throw new UsageError({ code, what: `The recipe's ${path.map(String).join('.')}: ${what}.`, whatToDo });
}

function firstOf(checks: readonly (() => RecipeFault | null)[]): RecipeFault | null {
  for (const check of checks) {
    const fault = check();
    if (fault !== null) return fault;
  }
  return null;
}

/** Lines of JSON would be taken for prose. */
function textsFault({ calibration, evaluate }: Recipe): RecipeFault | null {
  if (calibration !== undefined && 'text' in calibration && calibration.field !== undefined) {
    return later(['calibration', 'field'], 'texts in .jsonl files are not in this release', PLAIN_TEXT);
  }
  const texts = calibration !== undefined && 'text' in calibration ? calibration.text : [];
  for (const [key, paths] of [
    ['calibration', texts],
    ['evaluate', evaluate?.text ?? []],
  ] as const) {
    const index = paths.findIndex((path) => /\.jsonl$/i.test(path));
    if (index >= 0) return later([key, 'text', index], 'texts in .jsonl files are not in this release', PLAIN_TEXT);
  }
  return null;
}

const PLAIN_TEXT = 'Write the texts into a .txt file.';

function stepsFault(recipe: Recipe): RecipeFault | null {
  const { steps } = recipe;
  for (const [index, step] of steps.entries()) {
    const path = ['steps', index];
    switch (step.step) {
      case 'encode':
        break;
      case 'quantize': {
        const fault = quantizeFault(step, recipe, path);
        if (fault !== null) return fault;
        break;
      }
      default:
        return later([...path, 'step'], `the step "${step.step}" is not in this release`);
    }
  }
  if (steps.length > 1) {
    return later(['steps', 1], 'several steps in one recipe are not in this release', 'Write a recipe for each.');
  }
  return null;
}

function quantizeFault(step: QuantizeStep, recipe: Recipe, path: PropertyKey[]): RecipeFault | null {
  const { method, format, groupSize, include, allocation } = step;
  return firstOf([
    () => methodFault(method, [...path, 'method']),
    () => (format === undefined ? null : formatFault(format, [...path, 'format'])),
    () => {
      if (groupSize === undefined) return null;
      return wrong([...path, 'groupSize'], 'block formats have groups of their own size', 'Leave groupSize away.');
    },
    () => {
      if (include === undefined || format === undefined || mixOfFormat(format) === null) return null;
      const what = `the mix "${format}" chooses formats for all matrices by itself`;
      return wrong([...path, 'include'], what, 'Leave include away, or name one block format.');
    },
    () => (allocation === undefined ? null : allocationFault(allocation, recipe, [...path, 'allocation'])),
    () => {
      if (method !== 'gptq') return null;
      return gptqFault(recipe, [...path, 'method']);
    },
  ]);
}

function methodFault(method: string, path: PropertyKey[]): RecipeFault | null {
  if (BUILT_METHODS.includes(method)) return null;
  return later(path, `the method "${method}" is not in this release`, `Use one of ${BUILT_METHODS.join(', ')}.`);
}

function formatFault(format: QuantizedFormat, path: PropertyKey[]): RecipeFault | null {
  if (isBlockFormat(format) || mixOfFormat(format) !== null) return null;
  return later(path, `the format "${format}" is not in this release`, 'Use a block format such as q4_k, or q4_k_m.');
}

function allocationFault(
  { method, formats }: NonNullable<QuantizeStep['allocation']>,
  recipe: Recipe,
  path: PropertyKey[],
): RecipeFault | null {
  if (method === 'evopress') {
    return later([...path, 'method'], 'allocation by "evopress" is not in this release', 'Use dp or uniform.');
  }
  for (const [index, format] of formats.entries()) {
    const fault = formatFault(format, [...path, 'formats', index]);
    if (fault !== null) return fault;
    if (!isBlockFormat(format)) {
      return wrong([...path, 'formats', index], `"${format}" is a mix of formats`, 'Name block formats here.');
    }
  }
  if (method === 'dp' && (recipe.calibration === undefined || 'imatrix' in recipe.calibration)) {
    const what = 'allocation by "dp" measures what each choice costs, on calibration texts, and there are none';
    return wrong([...path, 'method'], what, ADD_TEXTS);
  }
  return null;
}

function gptqFault({ calibration }: Recipe, path: PropertyKey[]): RecipeFault | null {
  if (calibration !== undefined && 'text' in calibration) return null;
  return wrong(path, 'gptq needs calibration texts, and there are none', ADD_TEXTS);
}

const ADD_TEXTS = 'Add "calibration: { text: [FILE] }" to the recipe, or --calibration FILE to the command.';

function overridesFault(recipe: Recipe): RecipeFault | null {
  const isQuantizing = recipe.steps.some(({ step }) => step === 'quantize');
  for (const [index, override] of recipe.overrides.entries()) {
    const fault = overrideFault(override, isQuantizing, recipe, ['overrides', index]);
    if (fault !== null) return fault;
  }
  return null;
}

function overrideFault(
  { quantize, prune }: RecipeOverride,
  isQuantizing: boolean,
  recipe: Recipe,
  path: PropertyKey[],
): RecipeFault | null {
  if (prune !== undefined) return later([...path, 'prune'], 'overrides of pruning are not in this release');
  if (quantize === undefined) return null;
  const at = [...path, 'quantize'];
  const { format, method, groupSize } = quantize;
  return firstOf([
    () => {
      if (isQuantizing) return null;
      return wrong(at, 'the recipe has no quantize step that this could change', 'Add one, or leave this away.');
    },
    () => (method === undefined ? null : methodFault(method, [...at, 'method'])),
    () => (format === undefined ? null : formatFault(format, [...at, 'format'])),
    () => {
      if (format === undefined || isBlockFormat(format)) return null;
      return wrong([...at, 'format'], `"${format}" is a mix of formats`, 'Name a block format here.');
    },
    () => {
      if (groupSize === undefined) return null;
      return wrong([...at, 'groupSize'], 'block formats have groups of their own size', 'Leave groupSize away.');
    },
    () => (method === 'gptq' ? gptqFault(recipe, [...at, 'method']) : null),
  ]);
}

function limitsFault({ limits, evaluate }: Recipe): RecipeFault | null {
  if (limits === undefined || evaluate !== undefined) return null;
  return wrong(['limits'], 'limits need a measurement', 'Add "evaluate: { text: [FILE] }".');
}

function later(path: PropertyKey[], what: string, whatToDo = 'Leave it away.'): RecipeFault {
  return { path, code: 'RECIPE_NOT_SUPPORTED', what, whatToDo };
}

function wrong(path: PropertyKey[], what: string, whatToDo: string): RecipeFault {
  return { path, code: 'RECIPE_INVALID_VALUE', what, whatToDo };
}
