import type { RunFigures } from '../../core/contract/run-figures.ts';
import type { ComparedFigure, RunDetails, RunsCompareResult, RunSummary } from '../../core/contract/runs-result.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { describeWholeRun } from '../engine/describe-run.ts';
import { findRun } from './find-run.ts';

/**
 * Figures of runs side by side, each with whether they can be compared at all: a perplexity over another text, context or
 * tokenizer is another quantity, and seconds of another machine say nothing.
 *
 * @param ids or as many of their first characters as tell them from others
 * @throws JobError RUN_NOT_FOUND, RUN_JOURNAL_INVALID, RUN_JOURNAL_NEWER; UsageError RUN_AMBIGUOUS; ResourceError
 */
export async function compareRuns(
  ids: readonly string[],
  kernels: () => Kernels,
  home: string,
): Promise<RunsCompareResult> {
  const runs: RunDetails[] = [];
  for (const id of ids) runs.push(await describeWholeRun(home, await findRun(home, id), kernels));
  return { schema: 1, runs: runs.map(summaryOf), figures: compareFigures(runs) };
}

function summaryOf(run: RunDetails): RunSummary {
  const { runId, command, model, output, state, resumable, startedAt, endedAt, seconds, figures, error } = run;
  const short = error && { code: error.code, what: error.what };
  return { runId, command, model, output, state, resumable, startedAt, endedAt, seconds, figures, error: short };
}

/** @returns figures that at least one of the runs has, in a fixed order */
export function compareFigures(runs: readonly RunDetails[]): ComparedFigure[] {
  const sizes = differs(
    runs,
    'of different models',
    ({ figures }) => figures?.parameters && [figures.parameters, figures.sourceStoredBytes],
  );
  const costs = costDifference(runs);
  const plain: [keyof RunFigures, string | null][] = [
    ['parameters', null],
    ['sourceStoredBytes', sizes],
    ['storedBytes', sizes],
    ['fileBytes', sizes],
    ['bitsPerWeight', sizes],
    ['files', null],
    ['restoredBytes', null],
  ];
  return [
    ...plain.map(([name, why]) => figure(runs, name, why, ({ figures }) => figures?.[name])),
    ...textFigures(runs),
    ...choiceFigures(runs),
    ...(['seconds', 'cpuSeconds', 'peakRssBytes'] as const).map((name) =>
      figure(runs, name, costs, ({ figures }) => figures?.[name]),
    ),
  ].filter(({ values }) => values.some((value) => value !== null));
}

const TEXT_FIGURES = ['perplexity', 'meanNegativeLogLikelihood', 'standardError'] as const;
const REFERENCE_FIGURES = ['referencePerplexity', 'klDivergenceMean', 'top1Agreement'] as const;

/** Texts are matched by what they hold, wherever they lay; those that only one run read stand alone. */
function textFigures(runs: readonly RunDetails[]): ComparedFigure[] {
  const names = new Map<string, string>();
  for (const run of runs) {
    run.figures?.texts?.forEach(({ text }, index) => names.set(contentOf(run, index, text), baseName(text)));
  }
  return [...names].flatMap(([content, name]) => {
    const read = (run: RunDetails) => {
      return run.figures?.texts?.find(({ text }, index) => contentOf(run, index, text) === content);
    };
    const why =
      differs(runs, 'over windows of different lengths', (run) => read(run)?.context) ??
      differs(runs, 'over different tokens: another tokenizer, or another --limit-tokens', (run) => {
        const text = read(run);
        return text && [text.tokens, text.predictions];
      });
    const whyReference =
      why ??
      differs(
        runs,
        'against different references',
        (run) => read(run)?.klDivergenceMean !== undefined && referenceOf(run),
      );
    return [
      ...TEXT_FIGURES.map((key) => figure(runs, `${key} (${name})`, why, (run) => read(run)?.[key])),
      ...REFERENCE_FIGURES.map((key) => figure(runs, `${key} (${name})`, whyReference, (run) => read(run)?.[key])),
    ];
  });
}

function choiceFigures(runs: readonly RunDetails[]): ComparedFigure[] {
  const why = differs(runs, 'on different questions', (run) => {
    const { choices, texts } = run.figures ?? {};
    return choices && contentOf(run, texts?.length ?? 0, choices.file);
  });
  return (['accuracy', 'accuracyNormalized'] as const).map((key) =>
    figure(runs, key, why, ({ figures }) => figures?.choices?.[key]),
  );
}

/** The digest of what an evaluated file held; its name where the journal does not tell. Inputs are texts, then choices. */
function contentOf({ inputs }: RunDetails, index: number, name: string): string {
  return inputs[index]?.sha256 ?? name;
}

function figure(
  runs: readonly RunDetails[],
  name: string,
  why: string | null,
  valueOf: (run: RunDetails) => unknown,
): ComparedFigure {
  const values = runs.map((run) => {
    const value = valueOf(run);
    return typeof value === 'number' ? value : null;
  });
  const several = values.filter((value) => value !== null).length > 1;
  return { name, values, comparable: several && why === null, why: several ? why : 'of one run only' };
}

/** Null where all runs that have the thing have the same, else why they cannot be compared. */
function differs(runs: readonly RunDetails[], why: string, thingOf: (run: RunDetails) => unknown): string | null {
  const things = runs
    .map(thingOf)
    .filter((thing) => thing !== undefined && thing !== null && thing !== false && thing !== 0);
  return new Set(things.map((thing) => JSON.stringify(thing))).size > 1 ? why : null;
}

function costDifference(runs: readonly RunDetails[]): string | null {
  if (runs.some(({ figures, resumedAt }) => figures !== null && resumedAt.length > 0)) {
    return 'of the last part alone of a run that was interrupted';
  }
  return (
    differs(runs, 'of different commands', ({ figures, command }) => figures && command) ??
    differs(runs, 'measured on different machines', ({ figures, host }) => figures && host) ??
    differs(runs, 'with different numbers of threads', ({ figures, threads }) => figures && threads)
  );
}

function referenceOf({ options }: RunDetails): unknown {
  return options?.['reference'];
}

function baseName(path: string): string {
  return path.replace(/^.*[/\\](?=[^/\\])/, '');
}
