import { UsageError } from '../errors.ts';
import { parseRecipe } from './parse-recipe.ts';
import { PRESETS } from './presets.ts';

/** A recipe that ships with the program, as faces show it. */
export interface PresetCard {
  /** As `--preset` takes it. */
  name: string;
  /** The recipe's own name. */
  title: string;
  /** Its first lines, without their marks. */
  comment: string;
  text: string;
  /** Whether it runs only with calibration texts. */
  needsCalibration: boolean;
}

/** Where a text is only needed to be there. */
const ANY_TEXT = ['text'];

/** All presets, in their order. */
export function presetCards(): PresetCard[] {
  return [...PRESETS].map(([name, text]) => ({
    name,
    title: parseRecipe(text, name, ANY_TEXT).name ?? name,
    comment: leadingComment(text),
    text,
    needsCalibration: needsCalibration(name, text),
  }));
}

function leadingComment(text: string): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('#'));
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^# ?/, ''))
    .join('\n');
}

/** Presets are valid but for the texts that some of them want. */
function needsCalibration(name: string, text: string): boolean {
  try {
    parseRecipe(text, name);
    return false;
  } catch (error) {
    if (error instanceof UsageError && error.code === 'RECIPE_INVALID_VALUE') return true;
    throw error;
  }
}
