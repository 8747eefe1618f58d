import { JobError, serializeError, type SerializedError, type WorkbenchError } from '../../core/errors.ts';
import { openWorkbenchServer } from '../../workers/serve/open-workbench-server.ts';
import type { ServeInvocation } from '../invocation.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { quoteForShell } from './quote-for-shell.ts';

/** `lathe serve`: prints its address at once, and serves until it is asked to stop. */
export async function runServe({ port }: ServeInvocation, context: CommandContext): Promise<CommandOutcome> {
  const { engine, job, serving } = context;
  const { announce, ...surroundings } = serving;
  const server = await openWorkbenchServer({
    ...surroundings,
    engine: await engine(),
    port,
    onNextAddress(address) {
      job.onEvent({ event: 'note', message: `That address is used up. For another browser: ${address}` });
    },
  });
  const { address } = server;
  announce({ schema: 1, address }, address);
  job.onEvent({
    event: 'note',
    message: 'The workbench is open at this address, on this machine alone. Ctrl-C ends it.',
  });
  await stopAsked(job.signal);
  const interrupted = await server.close();
  const error = interrupted.length === 0 ? undefined : interruption(interrupted);
  return { document: null, summary: () => [], notes: [], error };
}

function stopAsked(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What can be gone on with, and how. */
function interruption(interrupted: readonly WorkbenchError[]): SerializedError {
  const runs = interrupted.flatMap(({ where }) => (where.job === undefined ? [] : [where.job]));
  const resumes = runs.map((run) => `lathe resume ${quoteForShell(run)}`);
  const whatToDo = resumes.length > 0 ? `Go on with: ${resumes.join('; ')}` : 'Start it again: what was done is kept.';
  const what = `${interrupted.length === 1 ? 'A job was' : `${interrupted.length} jobs were`} interrupted; what was done is kept.`;
  const [job] = runs;
  return serializeError(new JobError({ code: 'JOB_INTERRUPTED', what, where: { job }, whatToDo, retryable: true }));
}
