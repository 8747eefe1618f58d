import type { Recipe } from '../../core/contract/recipe.ts';
import { serializeError, UsageError } from '../../core/errors.ts';
import { escapeLine } from '../output/escape-text.ts';
import { summarizeEstimate } from '../output/estimate-summary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

export interface DryRun {
  model: string;
  output: string;
  recipe: Recipe;
  recipeFolder: string;
  force: boolean;
}

/** What `compress` would do, from headers alone; writes nothing. Ends as the run would, if that would not begin. */
export async function runDry(plan: DryRun, { engine, job }: CommandContext): Promise<CommandOutcome> {
  const { model, output, recipe, recipeFolder, force } = plan;
  const asked = { model, recipe, recipeFolder, output: { path: output, force } };
  const document = await (await engine()).estimate({ ...job, ...asked });
  function summary(): string[] {
    return [`A dry run: nothing was written to ${escapeLine(output)}.`, '', ...summarizeEstimate(document)];
  }
  if (!document.wouldFail) return { document, summary, notes: [] };
  const reasons = document.problems.filter(({ blocking }) => blocking).map(({ message }) => message);
  const fault = new UsageError({
    code: 'RECIPE_NOT_SUPPORTED',
    what: `The recipe cannot run on this model: ${reasons.join(' ')}`,
    whatToDo: 'Choose a recipe that fits the model.',
  });
  return { document, summary, notes: [], error: serializeError(fault) };
}
