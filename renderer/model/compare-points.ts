/** Past runs as points of a chart: what a file takes, and what it costs. */
import type { Recipe } from '../../core/contract/recipe.ts';
import type { RunSummary } from '../../core/contract/runs-result.ts';
import { visibleName } from './visible-name.ts';
import { methodOf, type MethodKind } from '../charts/method-marks.ts';

export interface ComparedPoint {
  /** Of the compression. */
  runId: string;
  label: string;
  kind: MethodKind;
  isCoded: boolean;
  output: string;
  storedBytes: number;
  fileBytes: number | null;
  bitsPerWeight: number;
  seconds: number | null;
  sourceBytes: number;
  /** What it was measured on: only points of one protocol stand on one chart. */
  protocol: Protocol;
  klDivergence: number;
  /** Of the mean, over windows; null where it is not known. */
  klStandardError: number | null;
  perplexity: number;
  referencePerplexity: number | null;
  top1Agreement: number | null;
}

export interface Protocol {
  /** The same for what may be compared. */
  key: string;
  text: string;
  context: number;
  predictions: number;
  /** Of the text, or as many as were kept of it. */
  tokens: number;
}

/**
 * One point for each finished compression of a model that was measured. What was measured stands in an evaluation of its
 * own, whose model is the compression's output; a later run into the same place makes earlier ones void.
 *
 * @param recipes by run; a compression whose recipe is not known yet gives no point
 */
export function comparePoints(
  runs: readonly RunSummary[],
  model: string,
  recipes: ReadonlyMap<string, Recipe>,
): ComparedPoint[] {
  const oldestFirst = [...runs].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  const compressed = new Map<string, RunSummary>();
  const points = new Map<string, ComparedPoint>();
  for (const run of oldestFirst) {
    if (run.command === 'compress' && run.output !== null && run.model === model) {
      compressed.set(run.output, run);
      continue;
    }
    if (run.command !== 'evaluate' || run.state !== 'done') continue;
    const made = compressed.get(run.model);
    const recipe = made && recipes.get(made.runId);
    if (!made || !recipe || made.state !== 'done') continue;
    for (const point of pointsOf(made, run, recipe)) points.set(`${point.output}\n${point.protocol.key}`, point);
  }
  return [...points.values()];
}

function pointsOf(made: RunSummary, evaluated: RunSummary, recipe: Recipe): ComparedPoint[] {
  const { figures } = made;
  const { storedBytes, bitsPerWeight, sourceStoredBytes, fileBytes } = figures ?? {};
  if (storedBytes === undefined || bitsPerWeight === undefined || sourceStoredBytes === undefined) return [];
  return (evaluated.figures?.texts ?? []).flatMap((text) => {
    if (text.klDivergenceMean === undefined) return [];
    return {
      runId: made.runId,
      label: labelOf(recipe, made.output ?? ''),
      ...methodOf(recipe),
      output: made.output ?? '',
      storedBytes,
      fileBytes: fileBytes ?? null,
      bitsPerWeight,
      seconds: made.seconds,
      sourceBytes: sourceStoredBytes,
      protocol: {
        key: JSON.stringify([text.text, text.context, text.predictions]),
        text: text.text,
        context: text.context,
        predictions: text.predictions,
        tokens: text.tokens,
      },
      klDivergence: Math.max(0, text.klDivergenceMean),
      klStandardError: text.klDivergenceStandardError ?? null,
      perplexity: text.perplexity,
      referencePerplexity: text.referencePerplexity ?? null,
      top1Agreement: text.top1Agreement ?? null,
    };
  });
}

function labelOf({ name }: Recipe, output: string): string {
  return name ?? baseName(output);
}

/** The last part of a path, to be shown. */
export function baseName(path: string): string {
  return visibleName(path.split(/[\\/]/).filter(Boolean).at(-1) ?? path);
}

/** The protocols that there are, the one with the most points first. */
export function protocolsOf(points: readonly ComparedPoint[]): { protocol: Protocol; count: number }[] {
  const counts = new Map<string, { protocol: Protocol; count: number }>();
  for (const { protocol } of points) {
    const known = counts.get(protocol.key);
    if (known) known.count += 1;
    else counts.set(protocol.key, { protocol, count: 1 });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

/** Finished compressions, the newest into each place, that were not measured as the others on the chart were. */
export function unmeasuredRuns(
  runs: readonly RunSummary[],
  model: string,
  points: readonly ComparedPoint[],
): (RunSummary & { output: string })[] {
  const measured = new Set(points.map(({ output }) => output));
  const newest = new Map<string, RunSummary & { output: string }>();
  for (const run of runs) {
    const { command, output, startedAt } = run;
    if (command !== 'compress' || run.model !== model || output === null || measured.has(output)) continue;
    const known = newest.get(output);
    if (!known || known.startedAt < startedAt) newest.set(output, { ...run, output });
  }
  return [...newest.values()].filter(({ state }) => state === 'done');
}

/** Compressions whose recipe has to be asked for. */
export function runsToShow(runs: readonly RunSummary[], model: string): string[] {
  return runs
    .filter(({ command, state, model: of }) => command === 'compress' && state === 'done' && of === model)
    .map(({ runId }) => runId);
}
