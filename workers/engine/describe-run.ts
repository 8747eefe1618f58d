import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunDetails, RunState, RunSummary } from '../../core/contract/runs-result.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import type { ReadLine, RunLine } from '../../core/contract/journal-lines.ts';
import { journalPath } from './journal.ts';
import { asRunLine, noRunLine, readJournal, readJournalEnds } from './read-journal.ts';
import { isRunning, runFolderPath } from './run-folder.ts';
import { logPath } from './run-log.ts';

/** A run.json of ours is far shorter. */
const MAX_NAMED_RUN_BYTES = 64 << 10;

/**
 * What the first and the last lines of a run's journal tell of it.
 *
 * @throws JobError RUN_JOURNAL_INVALID, RUN_JOURNAL_NEWER; ResourceError
 */
export async function describeRun(home: string, runId: string, kernels: () => Kernels): Promise<RunSummary> {
  const { run, tail } = await readJournalEnds(journalPath(home, runId));
  return summaryOf(home, runId, run, tail, kernels);
}

/**
 * All that a run's journal tells of it.
 *
 * @throws JobError RUN_JOURNAL_INVALID, RUN_JOURNAL_NEWER; ResourceError
 */
export async function describeWholeRun(home: string, runId: string, kernels: () => Kernels): Promise<RunDetails> {
  const path = journalPath(home, runId);
  const read = await readJournal(path);
  const run = read?.lines.flatMap((line) => asRunLine(line) ?? [])[0];
  if (!read || !run) throw noRunLine(path);
  const { lines, damagedLines } = read;
  const ending = endingOf(lines);
  return {
    ...(await summaryOf(home, runId, run, lines, kernels)),
    version: run.fingerprints.version,
    host: run.host ?? null,
    threads: run.threads ?? null,
    memoryLimitBytes: run.memoryLimitBytes ?? null,
    options: run.options ?? null,
    inputs: run.inputs ?? [],
    resumedAt: lines.flatMap((line) => (line.type === 'resumed' ? [line.at] : [])),
    stages: lines.flatMap((line) => (line.type === 'stage' ? [{ stage: line.stage, at: line.at }] : [])),
    itemsDone: itemsDone(lines),
    items: lines.reduce<number | null>((found, line) => (line.type === 'plan' ? line.items : found), null),
    error: ending?.type === 'failed' ? ending.error : null,
    damagedLines,
    journal: path,
    log: logPath(runFolderPath(home, runId)),
  };
}

async function summaryOf(
  home: string,
  runId: string,
  run: RunLine,
  lines: readonly ReadLine[],
  kernels: () => Kernels,
): Promise<RunSummary> {
  const ending = endingOf(lines);
  const state = await stateOf(home, runId, ending, kernels);
  const known = state === 'running' ? null : ending;
  return {
    runId,
    command: run.command,
    model: run.fingerprints.model,
    output: run.output === '' ? null : run.output,
    state,
    resumable: state !== 'done' && state !== 'running' && (await canGoOn(runId, run, lines)),
    startedAt: run.startedAt,
    endedAt: known?.at ?? null,
    seconds: known?.seconds ?? null,
    figures: known?.type === 'done' ? (known.figures ?? null) : null,
    error: known?.type === 'failed' ? { code: known.error.code, what: known.error.what } : null,
  };
}

type Ending = Extract<ReadLine, { type: 'done' | 'failed' | 'interrupted' }>;

/** How a run last ended; null of one that goes on, or was killed. What it did after an earlier ending makes that one void. */
function endingOf(lines: readonly ReadLine[]): Ending | null {
  for (let index = lines.length - 1; index >= 0; index--) {
    const line = lines[index];
    if (line === undefined || line.type === 'run' || line.type === 'resumed') return null;
    if (line.type === 'done' || line.type === 'failed' || line.type === 'interrupted') return line;
  }
  return null;
}

async function stateOf(home: string, runId: string, ending: Ending | null, kernels: () => Kernels): Promise<RunState> {
  if (ending?.type === 'done') return 'done';
  if (await isRunning(home, runId, kernels)) return 'running';
  return ending?.type ?? 'interrupted';
}

/** Whether what an unfinished run has left is still there. */
async function canGoOn(
  runId: string,
  { command, output, options }: RunLine,
  lines: readonly ReadLine[],
): Promise<boolean> {
  // The first journals did not keep what a run was asked for.
  if (options === undefined) return false;
  if (command === 'evaluate') return true;
  if (command !== 'compress') return false;
  return lines.some(({ type }) => type === 'committing') || (await namedRun(output)) === runId;
}

/** Which run's work lies beside an output; null where there is none. */
async function namedRun(output: string): Promise<string | null> {
  const text = await readFile(join(`${output}${PARTIAL_ENDING}`, 'run.json'), 'utf8').catch(() => '');
  return text.length > MAX_NAMED_RUN_BYTES ? null : (/"runId":"([^"]*)"/.exec(text)?.[1] ?? null);
}

function itemsDone(lines: readonly ReadLine[]): number {
  const items = new Set<string>();
  let choices = 0;
  for (const line of lines) {
    if (line.type === 'item') items.add(line.key);
    if (line.type === 'choices' && line.from === choices) choices += line.logLikelihoods.length;
  }
  return items.size + choices + windowsDone(lines);
}

/** Ranges of windows never overlap, but a line may stand in a journal twice. */
function windowsDone(lines: readonly ReadLine[]): number {
  const ranges = new Map<string, number>();
  for (const line of lines) if (line.type === 'windows') ranges.set(`${line.task} ${line.from}`, line.to - line.from);
  return [...ranges.values()].reduce((sum, count) => sum + count, 0);
}
