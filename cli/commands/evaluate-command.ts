import type { EvaluateInvocation } from '../invocation.ts';
import { summarizeEvaluation } from '../output/evaluation-summary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { sayHowToResume } from './say-how-to-resume.ts';

/** `lathe evaluate MODEL --text FILE… | --choices FILE`. */
export async function runEvaluate(
  { command: _, ...asked }: EvaluateInvocation,
  { engine, job, argv }: CommandContext,
): Promise<CommandOutcome> {
  try {
    const document = await (await engine()).evaluate({ ...job, ...asked });
    return { document, summary: () => summarizeEvaluation(document), notes: document.notes };
  } catch (error) {
    throw sayHowToResume(error, argv);
  }
}
