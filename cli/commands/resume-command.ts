import { JobError, WorkbenchError } from '../../core/errors.ts';
import { summarizeEvaluation } from '../output/evaluation-summary.ts';
import type { ResumeInvocation } from '../invocation.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { summarizeCompression } from './compress-command.ts';
import { quoteForShell } from './quote-for-shell.ts';
import { summarizeRun } from './runs-show-command.ts';

/** `lathe resume ID`: answers as the command that was interrupted; of a run that was done before, with what is known of it. */
export async function runResume({ id }: ResumeInvocation, { engine, job }: CommandContext): Promise<CommandOutcome> {
  const outcome = await (await engine()).resumeRun({ ...job, run: id }).catch((error: unknown) => {
    throw sayResumeAgain(error, id);
  });
  switch (outcome.command) {
    case 'compress': {
      const { result } = outcome;
      return { document: result, summary: () => summarizeCompression(result), notes: result.notes };
    }
    case 'evaluate': {
      const { result } = outcome;
      return { document: result, summary: () => summarizeEvaluation(result), notes: result.notes };
    }
    case null: {
      const { run } = outcome;
      const notes = [`The run ${run.runId} was done before: nothing was left to do.`];
      return { document: { schema: 1, run, notes }, summary: () => summarizeRun(run), notes };
    }
  }
}

function sayResumeAgain(error: unknown, id: string): unknown {
  if (!(error instanceof WorkbenchError) || error.code !== 'JOB_INTERRUPTED') return error;
  const { code, what, where, retryable } = error;
  const whatToDo = `Go on with: lathe resume ${quoteForShell(id)}`;
  return new JobError({ code, what, where, whatToDo, retryable, cause: error });
}
