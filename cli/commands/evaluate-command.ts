import type { EvaluateInvocation } from '../invocation.ts';
import { summarizeEvaluation, summarizeEvaluationPlan } from '../output/evaluation-summary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { sayHowToResume } from './say-how-to-resume.ts';

/** `lathe evaluate MODEL --text FILE… | --choices FILE`, with `--dry-run` only what it would do. */
export async function runEvaluate(
  { command: _, dryRun, ...asked }: EvaluateInvocation,
  { engine, job, argv }: CommandContext,
): Promise<CommandOutcome> {
  if (dryRun) {
    const document = await (await engine()).planEvaluation({ ...job, ...asked });
    return { document, summary: () => summarizeEvaluationPlan(document), notes: document.notes };
  }
  try {
    const document = await (await engine()).evaluate({ ...job, ...asked });
    return { document, summary: () => summarizeEvaluation(document), notes: document.notes };
  } catch (error) {
    throw sayHowToResume(error, argv);
  }
}
