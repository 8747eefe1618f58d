import { dirname, resolve } from 'node:path';
import { MAX_BATCH_BYTES, parseBatch } from '../../core/contract/batch.ts';
import { planBatch, type NamedRecipe, type PlannedJob } from '../../core/contract/batch-plan.ts';
import { readRecipe } from './load-recipe.ts';
import { readTextFile } from './read-text-file.ts';

export interface LoadedBatch {
  name: string | null;
  concurrency: number;
  /** Absolute. */
  output: string;
  jobs: PlannedJob[];
}

/**
 * Reads a batch file and every recipe that it names, so that a wrong one is known before the first job begins.
 *
 * @throws UsageError BATCH_NOT_FOUND and those of `parseBatch`, `readRecipe` and `planBatch`
 * @throws ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function loadBatch(path: string): Promise<LoadedBatch> {
  const codes = { notFound: 'BATCH_NOT_FOUND', syntax: 'BATCH_SYNTAX' } as const;
  const text = await readTextFile(path, { noun: 'batch', maxBytes: MAX_BATCH_BYTES, codes });
  const batch = parseBatch(text, path);
  const folder = dirname(resolve(path));
  const recipes: NamedRecipe[] = [];
  for (const name of batch.recipes) {
    const file = resolve(folder, name);
    const { recipe, recipeFolder } = await readRecipe(file);
    recipes.push({ file, folder: recipeFolder, recipe });
  }
  const models = batch.models.map((model) => resolve(folder, model));
  const output = resolve(folder, batch.output);
  return { name: batch.name ?? null, concurrency: batch.concurrency, output, jobs: planBatch(models, recipes, output) };
}
