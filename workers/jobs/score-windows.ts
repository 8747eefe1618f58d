import { copyScores, emptyScores, type Sequence } from '../../core/evaluation/score-sequences.ts';
import type { VocabularyScores } from '../../core/kernels/kernels.ts';
import { readScores } from '../engine/score-file.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import type { TokenProgress } from '../engine/token-progress.ts';
import type { Scorer } from '../inference/scorer.ts';
import type { BegunEvaluation } from './begin-evaluation.ts';

/** What was scored is synced so often: a crash costs no more, and small models don't wait for the disk. */
const SAVE_INTERVAL_MS = 500;

export interface WindowTask {
  /** In the journal. */
  key: string;
  windows: readonly Int32Array[];
  context: number;
  hasReference: boolean;
}

export interface WindowTools {
  begun: BegunEvaluation;
  home: string;
  /** Opened only where a window is left to score. */
  scorer: () => Promise<Scorer>;
  progress: TokenProgress;
  signal: AbortSignal;
}

/**
 * Scores the windows of a text, batch by batch; those that the journal tells of are read back.
 *
 * What was done is saved whatever happens.
 * @returns scores of every prediction, windows one after the other, and how many tokens were run now
 */
export async function scoreWindows(
  task: WindowTask,
  tools: WindowTools,
): Promise<{ scores: VocabularyScores; tokensRun: number }> {
  const { windows, context } = task;
  const perWindow = context - 1;
  const scores = emptyScores(windows.length * perWindow, task.hasReference);
  const isDone = await readFinished(task, tools, scores);
  tools.progress.skip(isDone.filter((done) => done).length * context);
  const unsaved = { from: 0, to: 0 };
  let savedAt = Date.now();
  let tokensRun = 0;

  async function save(): Promise<void> {
    savedAt = Date.now();
    const { from, to } = unsaved;
    if (from === to) return;
    unsaved.from = to;
    const { scoreFile, journal } = tools.begun;
    const range = await scoreFile.append(sliceScores(scores, from * perWindow, to * perWindow));
    await journal.append({ type: 'windows', task: task.key, from, to, ...range });
  }

  try {
    let from = isDone.indexOf(false);
    while (from !== -1) {
      stopIfAsked(tools.signal);
      const scorer = await tools.scorer();
      const to = endOfBatch(isDone, from, await scorer.batchSize(context));
      const sequences = windows.slice(from, to).map((ids): Sequence => ({ ids, from: 1, to: context }));
      copyScores(await scorer.score(sequences, tools.signal), scores, from * perWindow);
      isDone.fill(true, from, to);
      tokensRun += (to - from) * context;
      tools.progress.add((to - from) * context);
      if (unsaved.to !== from) {
        await save();
        unsaved.from = from;
      }
      unsaved.to = to;
      if (Date.now() - savedAt >= SAVE_INTERVAL_MS) await save();
      from = isDone.indexOf(false, to);
    }
  } finally {
    await save();
  }
  return { scores, tokensRun };
}

function endOfBatch(isDone: readonly boolean[], from: number, batch: number): number {
  let to = from + 1;
  while (to < from + batch && isDone[to] === false) to++;
  return to;
}

/** Which windows are done; their scores are put in their places. */
async function readFinished(
  { key, windows, context, hasReference }: WindowTask,
  { begun, home }: WindowTools,
  scores: VocabularyScores,
): Promise<boolean[]> {
  const isDone = windows.map(() => false);
  for (const line of begun.lines) {
    if (line.type !== 'windows' || line.task !== key || line.to > windows.length) continue;
    const count = (line.to - line.from) * (context - 1);
    const found = await readScores(home, begun.runId, line, count, hasReference);
    if (found === null) continue;
    copyScores(found, scores, line.from * (context - 1));
    isDone.fill(true, line.from, line.to);
  }
  return isDone;
}

/** Views of a part. */
function sliceScores(scores: VocabularyScores, from: number, to: number): VocabularyScores {
  return {
    nll: scores.nll.subarray(from, to),
    argmax: scores.argmax.subarray(from, to),
    rank: scores.rank.subarray(from, to),
    kl: scores.kl?.subarray(from, to) ?? null,
    referenceNll: scores.referenceNll?.subarray(from, to) ?? null,
    referenceArgmax: scores.referenceArgmax?.subarray(from, to) ?? null,
  };
}
