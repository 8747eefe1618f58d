import { useEffect } from 'react';
import { create } from 'zustand';
import { recipeOfRun } from '../model/recipe-of-run.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { RunDetails, RunSummary, UnreadableRun } from '../../core/contract/runs-result.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { runsToShow } from '../model/compare-points.ts';
import { ask, useWorkbench } from './workbench-store.ts';

const MOST_RUNS = 500;

interface PastRuns {
  /** Newest first; null before they were read. */
  runs: readonly RunSummary[] | null;
  unreadable: readonly UnreadableRun[];
  /** Runs that there are beside these. */
  more: number;
  /** Of finished compressions; a finished run never changes, so each is asked for once. */
  recipes: ReadonlyMap<string, Recipe>;
  error: SerializedError | null;
}

export const usePastRuns = create<PastRuns>(() => ({
  runs: null,
  unreadable: [],
  more: 0,
  recipes: new Map(),
  error: null,
}));

const { setState: set, getState: get } = usePastRuns;

export async function readRuns(): Promise<void> {
  try {
    const { runs, unreadable, more } = await ask('runs.list', { limit: MOST_RUNS });
    set({ runs, unreadable, more, error: null });
  } catch (error) {
    set({ error: serializeError(error) });
  }
}

/** The recipes of a model's finished compressions, as far as they are not known yet. */
export async function readRecipes(model: string): Promise<void> {
  const unknown = runsToShow(get().runs ?? [], model).filter((runId) => !get().recipes.has(runId));
  const found = await Promise.all(
    unknown.map(async (id) => {
      try {
        return [id, recipeOfRun((await showRun(id)).options?.['recipe'])] as const;
      } catch {
        return [id, null] as const;
      }
    }),
  );
  const known = found.flatMap(([id, recipe]) => (recipe === null ? [] : [[id, recipe] as const]));
  if (known.length > 0) set(({ recipes }) => ({ recipes: new Map([...recipes, ...known]) }));
}

export async function showRun(id: string): Promise<RunDetails> {
  return (await ask('runs.show', { id })).run;
}

/** Keeps the list up to date while a screen that shows it is there. */
export function useRunsKeptUp(): void {
  const ended = useWorkbench((state) => state.ended);
  const link = useWorkbench((state) => state.link);
  useEffect(() => {
    if (link === 'open') void readRuns();
  }, [ended, link]);
}
