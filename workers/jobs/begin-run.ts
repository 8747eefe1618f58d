import { JobError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { WorkRecord } from '../../core/methods/lossless/work.ts';
import { checkFingerprints, firstDifference, type Fingerprints } from '../engine/fingerprints.ts';
import { firstLine, optionsOf, resumedLine } from '../engine/first-line.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import type { JournalLine, ReadLine } from '../../core/contract/journal-lines.ts';
import { journalPath } from '../engine/journal.ts';
import { latheFileSha256, readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { refuseExistingOutput, type OutputFolder } from '../engine/output-folder.ts';
import { asRunLine, readJournal, readRunLine } from '../engine/read-journal.ts';
import { listRunIds, openRunFolder, type RunFolder } from '../engine/run-folder.ts';
import { newRunId } from '../engine/run-identity.ts';

/** Journals looked through for a run whose output is in its place. */
const MAX_JOURNALS_READ = 50;

export interface BegunRun {
  runId: string;
  folder: RunFolder;
  /** Of finished items, by key. */
  records: Map<string, WorkRecord>;
  isResumed: boolean;
  /** The output is in its place already; only its traces are left to remove. */
  isCommitted: boolean;
}

/**
 * Begins a run on an output, or goes on with the interrupted one; with the one that is named, and no other.
 *
 * @param output absolute
 * @throws JobError JOB_UNFINISHED_RUN_EXISTS, JOB_OUTPUT_EXISTS, JOB_OUTPUT_BUSY, RUN_NOT_RESUMABLE, RUN_JOURNAL_NEWER;
 * UsageError JOB_RESUME_MISMATCH
 */
export async function beginRun(
  place: OutputFolder,
  output: string,
  options: CompressOptions,
  fingerprints: Fingerprints,
  kernels: Kernels,
  home: string,
): Promise<BegunRun> {
  const { resume, force, onEvent, runId: named } = options;
  const found = place.unfinished;
  if (named !== undefined) {
    const begun = found === null || found.runId === named ? await goOn(named) : null;
    if (begun) return begun;
    throw notResumable(named, output, found?.runId);
  }
  if (found !== null && !force && (!resume || found.command !== 'compress')) throw unfinished(output, found.command);
  if (resume && found?.command !== 'restore') {
    const runId = found?.runId ?? (await findFinishedRun(home, output, fingerprints));
    const begun = runId === null ? null : await goOn(runId);
    if (begun) return begun;
    if (found)
      onEvent({ event: 'warning', message: `The journal of run ${found.runId} is gone: the run starts anew.` });
  }
  await refuseExistingOutput(output, force);
  const runId = newRunId();
  const call = { runId, command: 'compress', model: options.model, output, fingerprints };
  const asked = { ...optionsOf(options), output, resume: false };
  const first = firstLine({ ...call, options: asked, paths: ['model'] }, options);
  const folder = await folderFrom(runId, first, () => place.begin({ runId, command: 'compress' }));
  return { runId, folder, records: new Map(), isResumed: false, isCommitted: false };

  async function goOn(runId: string): Promise<BegunRun | null> {
    const { lines } = (await readJournal(journalPath(home, runId))) ?? { lines: [] };
    const start = lines.flatMap((line) => asRunLine(line) ?? [])[0];
    if (!start) return null;
    checkFingerprints(start.fingerprints, fingerprints);
    const isCommitted = !(await place.hasNewFolder()) && (await isInPlace(output, lines));
    // A run that was found by its journal alone has left nothing that could be gone on with.
    if (!isCommitted && place.unfinished === null) return null;
    if (!isCommitted) await refuseExistingOutput(output, force);
    const folder = await folderFrom(runId, resumedLine());
    const records = new Map<string, WorkRecord>();
    for (const line of lines) if (line.type === 'item') records.set(line.key, line.record);
    return { runId, folder, records, isResumed: true, isCommitted };
  }

  async function folderFrom(runId: string, first: JournalLine, next?: () => Promise<void>): Promise<RunFolder> {
    const folder = await openRunFolder(home, runId, kernels);
    try {
      await folder.journal.append(first);
      await folder.journal.flush();
      await next?.();
      return folder;
    } catch (error) {
      await folder.close();
      throw error;
    }
  }
}

/**
 * A run of the same arguments whose output is in its place. Whoever sees a run killed cannot know whether it had ended, so
 * it may have: then nothing is left to do.
 */
async function findFinishedRun(home: string, output: string, fingerprints: Fingerprints): Promise<string | null> {
  for (const runId of (await listRunIds(home)).slice(0, MAX_JOURNALS_READ)) {
    const path = journalPath(home, runId);
    // A journal that cannot be read is of no use here.
    const start = await readRunLine(path).catch(() => null);
    if (start?.output !== output) continue;
    const isSame = firstDifference(start.fingerprints, fingerprints) === null;
    return isSame && (await isInPlace(output, (await readJournal(path))?.lines ?? [])) ? runId : null;
  }
  return null;
}

/** Whether what lies at an output's place is what this run was about to put there: its `lathe.json`, and files as large. */
async function isInPlace(output: string, lines: readonly ReadLine[]): Promise<boolean> {
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

function notResumable(runId: string, output: string, other: string | undefined): JobError {
  const why = other === undefined ? 'is gone' : `is that of the run ${other}`;
  return new JobError({
    code: 'RUN_NOT_RESUMABLE',
    what: `The run ${runId} cannot go on: the folder "${output}.lathe-partial" with its unfinished work ${why}.`,
    where: { job: runId, file: output },
    whatToDo: 'Run the command anew; "lathe runs show" and the ID tell its options.',
  });
}
