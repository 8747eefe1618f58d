import type { Recipe } from '../../core/contract/recipe.ts';
import { baseName } from './compare-points.ts';
import { shellWord } from './figures.ts';

/** Where the output of a recipe goes unless another place is named: below the user's own folder, never beside the model. */
export function defaultOutput(home: string, model: string, recipe: Recipe | null): string {
  return `${outputFolder(home, model)}/${fileName(recipe?.name ?? 'output')}`;
}

export function outputFolder(home: string, model: string): string {
  return `${home.replace(/[\\/]$/, '')}/lathe-output/${fileName(baseName(model))}`;
}

export function exportPath(folder: string, model: string, type: string): string {
  return `${folder}/${fileName(baseName(model))}.${type}.gguf`;
}

/** Letters that every file system takes. */
function fileName(text: string): string {
  return text.replace(/[^\w.-]+/g, '-').replace(/^[-.]+|-+$/g, '') || 'output';
}

/** The same run in a terminal. */
export function commandLine(model: string, output: string, force: boolean): string {
  return `lathe compress ${shellWord(model)} -o ${shellWord(output)} --recipe recipe.yaml${force ? ' --force' : ''}`;
}
