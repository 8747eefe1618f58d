import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../../core/errors.ts';
import type { WorkRecord } from '../../core/methods/lossless/work.ts';
import { checkFingerprints, firstDifference, type Fingerprints } from '../engine/fingerprints.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import {
  journalPath,
  openJournal,
  readJournal,
  readRunLine,
  type Journal,
  type JournalLine,
} from '../engine/journal.ts';
import { latheFileSha256, readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { refuseExistingOutput, type OutputFolder } from '../engine/output-folder.ts';
import { newRunId } from '../engine/run-identity.ts';

/** Journals looked through for a run whose output is in its place. */
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
  if (resume && found?.command !== 'restore') {
    const runId = found?.runId ?? (await findFinishedRun(home, output, fingerprints));
    const lines = runId === null ? null : await readJournal(journalPath(home, runId));
    const begun = runId !== null && lines !== null ? await goOn(runId, lines) : null;
    if (begun) return begun;
    if (found)
      onEvent({ event: 'warning', message: `The journal of run ${found.runId} is gone: the run starts anew.` });
  }
  await refuseExistingOutput(output, force);
  const runId = newRunId();
  const startedAt = new Date().toISOString();
  const { model } = options;
  const first: JournalLine = { type: 'run', runId, command: 'compress', model, output, startedAt, fingerprints };
  const journal = await journalFrom(runId, first, () => place.begin({ runId, command: 'compress' }));
  return { runId, journal, records: new Map(), isResumed: false, isCommitted: false };

  async function goOn(runId: string, lines: readonly JournalLine[]): Promise<BegunRun | null> {
    const start = lines.find((line) => line.type === 'run');
    if (!start) return null;
    checkFingerprints(start.fingerprints, fingerprints);
    const isCommitted = !(await place.hasNewFolder()) && (await isInPlace(output, lines));
    // A run that was found by its journal alone has left nothing that could be gone on with.
    if (!isCommitted && place.unfinished === null) return null;
    if (!isCommitted) await refuseExistingOutput(output, force);
    const journal = await journalFrom(runId, { type: 'resumed', at: new Date().toISOString() });
    const records = new Map<string, WorkRecord>();
    for (const line of lines) if (line.type === 'item') records.set(line.key, line.record);
    return { runId, journal, records, isResumed: true, isCommitted };
  }

  async function journalFrom(runId: string, first: JournalLine, next?: () => Promise<void>): Promise<Journal> {
    const journal = await openJournal(journalPath(home, runId));
    try {
      await journal.append(first);
      await next?.();
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }
}

/**
 * A run of the same arguments whose output is in its place. Whoever sees a run killed cannot know whether it had ended, so
 * it may have: then nothing is left to do.
 */
async function findFinishedRun(home: string, output: string, fingerprints: Fingerprints): Promise<string | null> {
  const runIds = await readdir(join(home, 'runs')).catch(() => []);
  for (const runId of runIds.sort().reverse().slice(0, MAX_JOURNALS_READ)) {
    const path = journalPath(home, runId);
    // A journal that cannot be read is of no use here.
    const start = await readRunLine(path).catch(() => null);
    if (start?.output !== output) continue;
    const isSame = firstDifference(start.fingerprints, fingerprints) === null;
    return isSame && (await isInPlace(output, (await readJournal(path)) ?? [])) ? runId : null;
  }
  return null;
}

/** Whether what lies at an output's place is what this run was about to put there: its `lathe.json`, and files as large. */
async function isInPlace(output: string, lines: readonly JournalLine[]): Promise<boolean> {
  const promised = lines.flatMap((line) => (line.type === 'committing' ? [line.latheFileSha256] : []));
  if (!promised.includes((await latheFileSha256(output)) ?? '')) return false;
  const lathe = await readLatheFile(output);
  for (const { path, bytes } of lathe?.output.files ?? []) {
    if ((await nodeFileAccess.stat(`${output}/${path}`))?.sizeBytes !== bytes) return false;
  }
  return true;
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
