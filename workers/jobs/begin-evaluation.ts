import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError, WorkbenchError } from '../../core/errors.ts';
import type { FileLock, Kernels } from '../../core/kernels/kernels.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { checkFingerprints, takeFingerprints, type Fingerprints } from '../engine/fingerprints.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import {
  journalPath,
  openJournal,
  readJournal,
  readRunLine,
  type Journal,
  type JournalLine,
} from '../engine/journal.ts';
import { newRunId, programVersion } from '../engine/run-identity.ts';
import { openScoreFile, type ScoreFile } from '../engine/score-file.ts';
import type { EvaluatedModel } from './evaluation-inputs.ts';

/** Journals looked through for a run to go on with, the newest first. */
const MAX_JOURNALS_READ = 200;

export interface BegunEvaluation {
  runId: string;
  journal: Journal;
  scoreFile: ScoreFile;
  /** What the journal tells of finished work; empty for a new run. */
  lines: readonly JournalLine[];
  isResumed: boolean;
  release(): void;
}

/**
 * Begins an evaluation, or goes on with the last interrupted one of the same arguments.
 *
 * @throws UsageError JOB_RESUME_MISMATCH where that one ran on other files or by another version; JobError
 * JOB_OUTPUT_BUSY where it is still running
 */
export async function beginEvaluation(
  options: EvaluateOptions,
  models: { model: EvaluatedModel; reference: EvaluatedModel | null },
  kernels: Kernels,
  home: string,
): Promise<BegunEvaluation> {
  const fingerprints = await fingerprintsOf(options, models);
  const found = options.resume ? await findInterrupted(fingerprints, home) : null;
  if (found !== null) checkSame(found.begun, fingerprints);
  const runId = found?.runId ?? newRunId();
  const path = journalPath(home, runId);
  const journal = await openJournal(path);
  let lock: FileLock | null = null;
  try {
    lock = kernels.lockFile(join(dirname(path), 'lock'));
    const lines = found?.lines ?? [];
    const scoreFile = await openScoreFile(home, runId, endOfScores(lines));
    await journal.append(found === null ? firstLine(runId, options, fingerprints) : resumedLine());
    return { runId, journal, scoreFile, lines, isResumed: found !== null, release: () => lock?.release() };
  } catch (error) {
    lock?.release();
    await journal.close();
    throw error;
  }
}

function firstLine(runId: string, options: EvaluateOptions, fingerprints: Fingerprints): JournalLine {
  const { model, tokensOut } = options;
  const startedAt = new Date().toISOString();
  return { type: 'run', runId, command: 'evaluate', model, output: tokensOut ?? '', startedAt, fingerprints };
}

function resumedLine(): JournalLine {
  return { type: 'resumed', at: new Date().toISOString() };
}

/** What was asked, and on which files: texts and reference count as the model does. */
async function fingerprintsOf(
  options: EvaluateOptions,
  { model, reference }: { model: EvaluatedModel; reference: EvaluatedModel | null },
): Promise<Fingerprints> {
  const { texts, choices, context, limitTokens, noiseFloorSeed } = options;
  const paths = [...texts, ...(choices === null ? [] : [choices])].map((path) => resolve(path));
  const asked = {
    command: 'evaluate',
    reference: reference?.opened.root ?? null,
    referenceFiles: reference?.opened.weightFiles.map(({ path }) => path) ?? null,
    files: model.opened.weightFiles.map(({ path }) => path),
    ...{ paths, context, limitTokens, noiseFloorSeed },
  };
  const prints = await takeFingerprints(model.opened, asked, programVersion());
  if (reference !== null) {
    const ofReference = await takeFingerprints(reference.opened, asked, programVersion());
    for (const [path, bytes, modifiedMs] of ofReference.modelFiles) {
      prints.modelFiles.push([`${reference.opened.root}/${path}`, bytes, modifiedMs]);
    }
  }
  for (const path of paths) {
    const facts = await wrapFileErrors('look at', path, () => stat(path));
    prints.modelFiles.push([path, facts.size, facts.mtimeMs]);
  }
  return prints;
}

/** The newest run of the same arguments, if it did not come to its end. */
async function findInterrupted(fingerprints: Fingerprints, home: string) {
  const runIds = await readdir(join(home, 'runs')).catch(() => []);
  for (const runId of runIds.sort().reverse().slice(0, MAX_JOURNALS_READ)) {
    const begun = await readRunLine(journalPath(home, runId));
    const isSame = begun?.fingerprints.recipe === fingerprints.recipe;
    if (begun?.command !== 'evaluate' || !isSame || begun.fingerprints.model !== fingerprints.model) continue;
    const lines = (await readJournal(journalPath(home, runId))) ?? [];
    return lines.some(({ type }) => type === 'done') ? null : { runId, lines, begun: begun.fingerprints };
  }
  return null;
}

function checkSame(begun: Fingerprints, now: Fingerprints): void {
  try {
    checkFingerprints(begun, now);
  } catch (error) {
    if (!(error instanceof WorkbenchError)) throw error;
    // Texts and the reference's files are among them.
    const what = error.what.replace("the model's file", 'the file');
    throw new UsageError({
      code: error.code,
      what,
      whatToDo: 'Undo that change, or run it without --resume.',
      cause: error,
    });
  }
}

function endOfScores(lines: readonly JournalLine[]): number {
  return lines.reduce((end, line) => {
    return line.type === 'windows' ? Math.max(end, line.offsetBytes + line.sizeBytes) : end;
  }, 0);
}
