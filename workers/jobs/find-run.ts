import { JobError, UsageError } from '../../core/errors.ts';
import { listRunIds } from '../engine/run-folder.ts';

/** More names than these help nobody. */
const MAX_NAMED = 10;

/**
 * The ID that begins so; a whole ID is itself, whatever others begin with it.
 *
 * @throws JobError RUN_NOT_FOUND; UsageError RUN_AMBIGUOUS, naming the candidates
 */
export async function findRun(home: string, start: string): Promise<string> {
  const runIds = await listRunIds(home);
  if (runIds.includes(start)) return start;
  const found = start === '' ? [] : runIds.filter((runId) => runId.startsWith(start));
  const [only, ...others] = found;
  if (only === undefined) {
    throw new JobError({
      code: 'RUN_NOT_FOUND',
      what: `No run has the ID "${start}", nor one that begins so; there are ${runIds.length} runs.`,
      whatToDo: 'See "lathe runs list".',
    });
  }
  if (others.length === 0) return only;
  const named = found.slice(0, MAX_NAMED).join(', ');
  const more = found.length > MAX_NAMED ? ` and ${found.length - MAX_NAMED} more` : '';
  throw new UsageError({
    code: 'RUN_AMBIGUOUS',
    what: `${found.length} runs have an ID that begins with "${start}": ${named}${more}.`,
    whatToDo: 'Write more of the ID.',
  });
}
