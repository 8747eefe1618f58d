import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../../core/errors.ts';
import type { WorkRecord } from '../../core/methods/lossless/work.ts';
import { checkFingerprints, type Fingerprints } from '../engine/fingerprints.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { journalPath, openJournal, readJournal, type Journal, type JournalLine } from '../engine/journal.ts';
import { refuseExistingOutput, type OutputFolder } from '../engine/output-folder.ts';
import { newRunId } from '../engine/run-identity.ts';

/** Journals looked through for a run that was killed after its output took its place. */
const MAX_JOURNALS_READ = 50;

export interface BegunRun {
  runId: string;
  journal: Journal;
  /** Of finished items, by key. */
  records: Map<string, WorkRecord>;
  isResumed: boolean;
  /** The output is in its place already; only its traces are left to remove. */
  isCommitted: boolean;
}

/**
 * Begins a run on an output, or goes on with the interrupted one.
 *
 * @param output absolute
 * @throws JobError JOB_UNFINISHED_RUN_EXISTS, JOB_OUTPUT_EXISTS; UsageError JOB_RESUME_MISMATCH
 */
export async function beginRun(
  place: OutputFolder,
  output: string,
  options: CompressOptions,
  fingerprints: Fingerprints,
  home: string,
): Promise<BegunRun> {
  const { resume, force, onEvent } = options;
  const found = place.unfinished;
  if (found !== null && !force && (!resume || found.command !== 'compress')) throw unfinished(output, found.command);
  if (resume) {
    const runId = found?.runId ?? (await findCommittedRun(home, output));
    const lines = runId === null ? null : await readJournal(journalPath(home, runId));
    const begun = runId !== null && lines !== null ? await goOn(runId, lines) : null;
    if (begun) return begun;
    if (found)
      onEvent({ event: 'warning', message: `The journal of run ${found.runId} is gone: the run starts anew.` });
  }
  await refuseExistingOutput(output, force);
  const runId = newRunId();
  const journal = await openJournal(journalPath(home, runId));
  const startedAt = new Date().toISOString();
  await journal.append({
    type: 'run',
    runId,
    command: 'compress',
    model: options.model,
    output,
    startedAt,
    fingerprints,
  });
  await place.begin({ runId, command: 'compress' });
  return { runId, journal, records: new Map(), isResumed: false, isCommitted: false };

  async function goOn(runId: string, lines: readonly JournalLine[]): Promise<BegunRun | null> {
    const start = lines.find((line) => line.type === 'run');
    if (!start) return null;
    checkFingerprints(start.fingerprints, fingerprints);
    const isCommitted = lines.some(({ type }) => type === 'committing') && !(await place.hasNewFolder());
    if (!isCommitted) await refuseExistingOutput(output, force);
    const journal = await openJournal(journalPath(home, runId));
    await journal.append({ type: 'resumed', at: new Date().toISOString() });
    const records = new Map<string, WorkRecord>();
    for (const line of lines) if (line.type === 'item') records.set(line.key, line.record);
    return { runId, journal, records, isResumed: true, isCommitted };
  }
}

/** A run whose output is in its place, but which was killed before it could say so. */
async function findCommittedRun(home: string, output: string): Promise<string | null> {
  const runIds = await readdir(join(home, 'runs')).catch(() => []);
  for (const runId of runIds.sort().reverse().slice(0, MAX_JOURNALS_READ)) {
    const lines = (await readJournal(journalPath(home, runId)).catch(() => null)) ?? [];
    if (!lines.some((line) => line.type === 'run' && line.output === output)) continue;
    const types = lines.map(({ type }) => type);
    return types.includes('committing') && !types.includes('done') ? runId : null;
  }
  return null;
}

function unfinished(output: string, command: string): JobError {
  return new JobError({
    code: 'JOB_UNFINISHED_RUN_EXISTS',
    what: `An interrupted "lathe ${command}" has left its work beside "${output}".`,
    where: { file: output },
    whatToDo:
      command === 'compress'
        ? 'Go on with it by the same command and --resume, or throw it away with --force.'
        : 'Throw it away with --force, or choose another output.',
  });
}
