import type { EstimateInvocation } from '../invocation.ts';
import { summarizeEstimate } from '../output/estimate-summary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { loadRecipe } from './load-recipe.ts';

/** `lathe estimate MODEL --recipe FILE`. */
export async function runEstimate(
  { model, recipe: choice }: EstimateInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const loaded = await loadRecipe(choice);
  const document = await (await engine()).estimate({ ...job, model, ...loaded, output: null });
  return { document, summary: () => summarizeEstimate(document), notes: [] };
}
