import { readdir, stat } from 'node:fs/promises';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { JobError, serializeError, UsageError, type SerializedError, type WorkbenchError } from '../../core/errors.ts';
import { summarizeEstimate } from '../output/estimate-summary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

export interface DryRun {
  model: string;
  output: string;
  recipe: Recipe;
  force: boolean;
}

/** What `compress` would do, from headers alone; writes nothing. What would keep it from running is in `error`. */
export async function runDry(plan: DryRun, { engine, job }: CommandContext): Promise<CommandOutcome> {
  const { model, output, recipe, force } = plan;
  const estimate = await (await engine()).estimate({ ...job, model, recipe });
  const refusal = force ? null : await refuseExisting(output);
  const blocking = estimate.problems.filter((problem) => problem.blocking);
  const fault = estimate.wouldFail ? unsupported(blocking.map(({ message }) => message)) : refusal;
  if (fault === null) return outcomeOf(estimate, output);
  const problems = [...estimate.problems];
  if (refusal !== null) problems.push({ message: refusal.what, blocking: true });
  return outcomeOf({ ...estimate, problems, wouldFail: true }, output, serializeError(fault));
}

function outcomeOf(estimate: EstimateResult, output: string, error?: SerializedError): CommandOutcome {
  return {
    document: estimate,
    summary: () => [`A dry run: nothing was written to ${output}.`, '', ...summarizeEstimate(estimate)],
    notes: [],
    error,
  };
}

/** The engine's own check comes when a run takes its place; this one is to tell the user beforehand. */
async function refuseExisting(output: string): Promise<WorkbenchError | null> {
  const isThere = await stat(output).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  const entries = await readdir(output).catch(() => null);
  if (entries?.length === 0) return null;
  return new JobError({
    code: 'JOB_OUTPUT_EXISTS',
    what: `The output "${output}" exists and is not empty.`,
    where: { file: output },
    whatToDo: 'Choose another output, or replace it with --force.',
  });
}

function unsupported(reasons: readonly string[]): WorkbenchError {
  return new UsageError({
    code: 'RECIPE_NOT_SUPPORTED',
    what: `The recipe cannot run on this model: ${reasons.join(' ')}`,
    whatToDo: 'Choose a recipe that fits the model.',
  });
}
