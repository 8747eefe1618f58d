import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { JobError, UsageError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { checkFingerprints, takeFingerprints, type Fingerprints } from '../engine/fingerprints.ts';
import { firstLine, optionsOf, resumedLine } from '../engine/first-line.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import type { ReadLine } from '../../core/contract/journal-lines.ts';
import { journalPath, type Journal } from '../engine/journal.ts';
import { asRunLine, readJournal, readRunLine } from '../engine/read-journal.ts';
import { listRunIds, openRunFolder, type RunFolder } from '../engine/run-folder.ts';
import { newRunId, programVersion } from '../engine/run-identity.ts';
import { hasScores, openScoreFile, type ScoreFile } from '../engine/score-file.ts';
import type { EvaluatedModel } from './evaluated-model.ts';

/** Journals looked through for a run to go on with, the newest first. */
const MAX_JOURNALS_READ = 200;

export interface BegunEvaluation {
  runId: string;
  folder: RunFolder;
  journal: Journal;
  scoreFile: ScoreFile;
  /** What the journal tells of finished work; empty for a new run. */
  lines: readonly ReadLine[];
  isResumed: boolean;
  close(): Promise<void>;
}

/**
 * Begins an evaluation, or goes on with the last interrupted one of the same arguments; with the one that is named, and no
 * other.
 *
 * @throws UsageError JOB_RESUME_MISMATCH where that one ran on other files or by another version; JobError
 * JOB_OUTPUT_BUSY where it is still running, RUN_NOT_RESUMABLE, RUN_JOURNAL_NEWER
 */
export async function beginEvaluation(
  options: EvaluateOptions,
  models: { model: EvaluatedModel; reference: EvaluatedModel | null },
  kernels: Kernels,
  home: string,
): Promise<BegunEvaluation> {
  const fingerprints = await fingerprintsOf(options, models);
  const found = await findRun(options, fingerprints, home);
  if (found !== null) checkSame(found.begun, fingerprints);
  const runId = found?.runId ?? newRunId();
  const lines = found?.lines ?? [];
  const first = found === null ? await newLine(runId, options, fingerprints, kernels) : resumedLine();
  const folder = await openRunFolder(home, runId, kernels);
  try {
    const scoreFile = await openScoreFile(home, runId, endOfScores(lines));
    const { journal } = folder;
    await journal.append(first);
    await journal.flush();
    const close = async () => {
      await scoreFile.close();
      await folder.close();
    };
    return { runId, folder, journal, scoreFile, lines, isResumed: found !== null, close };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

async function newLine(runId: string, options: EvaluateOptions, fingerprints: Fingerprints, kernels: Kernels) {
  const { model, tokensOut, texts, choices, signal } = options;
  const paths = [...texts, ...(choices === null ? [] : [choices])].map((path) => resolve(path));
  // Figures of two runs are worth comparing where they read the same text, wherever it lay.
  const digests = await kernels.digestFiles(paths, { threads: 1, signal });
  const inputs = paths.map((path, index) => {
    return { path, bytes: digests[index]?.sizeBytes ?? 0, sha256: digests[index]?.sha256 ?? '' };
  });
  const output = tokensOut === null ? '' : resolve(tokensOut);
  const call = { runId, command: 'evaluate', model, output, fingerprints, inputs };
  const asked = { ...optionsOf(options), resume: false };
  return firstLine(
    { ...call, options: asked, paths: ['model', 'reference', 'texts', 'choices', 'tokensOut'] },
    options,
  );
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

interface FoundRun {
  runId: string;
  lines: readonly ReadLine[];
  begun: Fingerprints;
}

/** The run to go on with; null for a new one. */
async function findRun(options: EvaluateOptions, fingerprints: Fingerprints, home: string): Promise<FoundRun | null> {
  const { runId, resume } = options;
  if (runId === undefined) return resume ? findInterrupted(fingerprints, home) : null;
  const lines = (await readJournal(journalPath(home, runId)))?.lines ?? [];
  const begun = lines.flatMap((line) => asRunLine(line) ?? [])[0]?.fingerprints;
  if (begun !== undefined) return { runId, lines, begun };
  throw new JobError({
    code: 'RUN_NOT_RESUMABLE',
    what: `The run ${runId} cannot go on: its journal is gone.`,
    where: { job: runId },
    whatToDo: 'Evaluate anew.',
  });
}

/** The newest run of the same arguments, if it did not come to its end. */
async function findInterrupted(fingerprints: Fingerprints, home: string): Promise<FoundRun | null> {
  for (const runId of (await listRunIds(home)).slice(0, MAX_JOURNALS_READ)) {
    // A journal that cannot be read is of no use here.
    const begun = await readRunLine(journalPath(home, runId)).catch(() => null);
    const isSame = begun?.fingerprints.recipe === fingerprints.recipe;
    if (begun?.command !== 'evaluate' || !isSame || begun.fingerprints.model !== fingerprints.model) continue;
    const { lines } = (await readJournal(journalPath(home, runId))) ?? { lines: [] };
    // Killed after it noted its end, it may have told nobody its figures; its scores go last.
    const isOver = lines.some(({ type }) => type === 'done') && !(await hasScores(home, runId));
    return isOver ? null : { runId, lines, begun: begun.fingerprints };
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

function endOfScores(lines: readonly ReadLine[]): number {
  return lines.reduce((end, line) => {
    return line.type === 'windows' ? Math.max(end, line.offsetBytes + line.sizeBytes) : end;
  }, 0);
}
