import { UsageError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import type { Recipe } from './recipe.ts';

/** Of one batch. */
const MAX_JOBS = 1000;

/** A recipe file that a batch names, read and checked. */
export interface NamedRecipe {
  /** Absolute. */
  file: string;
  /** Absolute: what its paths are relative to. */
  folder: string;
  recipe: Recipe;
}

/** One recipe on one model. */
export interface PlannedJob {
  name: string;
  model: string;
  recipeFile: string;
  recipe: Recipe;
  recipeFolder: string;
  output: string;
}

/**
 * Every recipe on every model, each with an output of its own: `<output>/<model folder>/<recipe file without ending>`.
 *
 * @param models absolute paths
 * @param output absolute
 * @throws UsageError BATCH_INVALID_VALUE for more than 1,000 jobs; USAGE_INVALID_ARGUMENT where two of them would have the same output
 */
export function planBatch(models: readonly string[], recipes: readonly NamedRecipe[], output: string): PlannedJob[] {
  if (models.length * recipes.length > MAX_JOBS) throw tooMany(models.length * recipes.length, output);
  const taken = new Map<string, PlannedJob>();
  const jobs = models.flatMap((model) =>
    recipes.map(({ file, folder, recipe }): PlannedJob => {
      const name = `${lastPart(model)}/${withoutEnding(lastPart(file))}`;
      return { name, model, recipeFile: file, recipe, recipeFolder: folder, output: `${output}/${name}` };
    }),
  );
  for (const job of jobs) {
    // Some file systems take names that differ in case for the same.
    const key = job.name.toLowerCase();
    const other = taken.get(key);
    if (other !== undefined) throw sameOutput(job, other);
    taken.set(key, job);
  }
  return jobs;
}

function tooMany(jobs: number, output: string): UsageError {
  return new UsageError({
    code: 'BATCH_INVALID_VALUE',
    what: `The batch has ${jobs} jobs, every recipe on every model; ${MAX_JOBS} are possible.`,
    where: { file: output },
    whatToDo: 'Divide it into several batches.',
  });
}

function sameOutput(one: PlannedJob, other: PlannedJob): UsageError {
  const parts = one.model === other.model ? [other.recipeFile, one.recipeFile] : [other.model, one.model];
  const [first = '', second = ''] = parts;
  return new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `${quoted(first)} and ${quoted(second)} would both be written to ${quoted(one.output)}.`,
    where: { file: one.output },
    whatToDo: 'Give one of them another name, or put them in batches with outputs of their own.',
  });
}

function lastPart(path: string): string {
  return (
    path
      .split(/[/\\]/)
      .filter((part) => part !== '')
      .pop() ?? ''
  );
}

function withoutEnding(name: string): string {
  return name.replace(/(?!^)\.[^.]*$/, '');
}
