import type { Command } from 'commander';
import { PRESETS } from '../core/contract/presets.ts';
import { checkPath, invalidArgument, parsePositiveBytes } from './flag-values.ts';
import type { RecipeChoice } from './invocation.ts';

/** As commander gives them. */
export interface RecipeFlags {
  recipe?: string;
  preset?: string;
  fit?: number;
  calibration?: string[];
}

/** The options that say by which recipe. */
export function addRecipeOptions(command: Command): Command {
  return command
    .option('--recipe <file>', 'recipe, YAML or JSON')
    .option('--preset <name>', `a recipe that ships with the program: ${[...PRESETS.keys()].join(', ')}`)
    .option('--fit <bytes>', 'the best GGUF file of at most so many bytes, as in 3GiB; needs --calibration', (text) =>
      parsePositiveBytes(text, '--fit'),
    )
    .option('--calibration <file...>', "UTF-8 texts in place of the recipe's own calibration texts");
}

/** @throws UsageError USAGE_INVALID_ARGUMENT for none, and for several */
export function chooseRecipe(command: string, { recipe, preset, fit, calibration }: RecipeFlags): RecipeChoice {
  const given = Object.entries({ '--recipe': recipe, '--preset': preset, '--fit': fit }).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag],
  );
  if (given.length > 1) throw invalidArgument(`Both ${given.join(' and ')} were given.`, 'Write one of them.');
  const calibrationTexts = (calibration ?? []).map((text) => checkPath(text, '--calibration'));
  if (recipe !== undefined) return { kind: 'file', path: checkPath(recipe, '--recipe'), calibrationTexts };
  if (preset !== undefined) return { kind: 'preset', name: preset, calibrationTexts };
  if (fit !== undefined) return { kind: 'fit', totalBytes: fit, calibrationTexts };
  throw invalidArgument(
    `"lathe ${command}" needs a recipe.`,
    'Write --recipe FILE, or --preset NAME as in --preset lossless-dfloat11.',
  );
}
