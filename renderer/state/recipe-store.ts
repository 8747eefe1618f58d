import { create } from 'zustand';
import type { ExplainResult } from '../../core/contract/explain-result.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { serializeError, type SerializedError } from '../../core/errors.ts';
import { change, redo, startHistory, undo, type History } from '../model/undo-history.ts';
import { writeRecipe } from '../model/write-recipe.ts';
import { ask, useWorkbench } from './workbench-store.ts';

const FIRST_RECIPE = `\
# A GGUF file with the types that llama.cpp's mix Q4_K_M gives each tensor, rounded to nearest.
lathe: 1
name: q4_k_m
steps:
  - step: quantize
    format: q4_k_m
`;

/** Typing pauses for as long before the text is checked. */
const CHECK_AFTER_MS = 250;
const DRAFT_KEY = 'lathe.recipe';

interface RecipeDesk {
  text: History<string>;
  /** Of the present text; null while it is checked, and where it is wrong. */
  recipe: Recipe | null;
  error: SerializedError | null;
  /** Of the present text and the open model; kept from the text before while they are made anew. */
  explained: ExplainResult | null;
  estimated: EstimateResult | null;
  /** Why the model and the recipe do not go together. */
  planError: SerializedError | null;
  isChecking: boolean;
}

export const useRecipe = create<RecipeDesk>(() => ({
  text: startHistory(readDraft()),
  recipe: null,
  error: null,
  explained: null,
  estimated: null,
  planError: null,
  isChecking: false,
}));

const { setState: set, getState: get } = useRecipe;

function readDraft(): string {
  try {
    return localStorage.getItem(DRAFT_KEY) ?? FIRST_RECIPE;
  } catch {
    return FIRST_RECIPE;
  }
}

let check = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

function showText(text: History<string>, afterMs: number): void {
  if (text === get().text) return;
  set({ text, recipe: null, error: null, isChecking: true });
  try {
    localStorage.setItem(DRAFT_KEY, text.present);
  } catch {
    // A draft that cannot be kept is only missing after the window was closed.
  }
  clearTimeout(timer);
  timer = setTimeout(() => void checkRecipe(), afterMs);
}

/** Each pause in typing is a step of undo. */
export function typeRecipe(text: string): void {
  showText(change(get().text, text, 'typing'), CHECK_AFTER_MS);
}

/** The whole text replaced, by a preset or by the form. */
export function replaceRecipe(text: string): void {
  showText(change(get().text, text), 0);
}

/** An edit of the checked recipe, written back as text. */
export function editRecipe(edit: (recipe: Recipe) => Recipe): void {
  const { recipe, text } = get();
  if (recipe !== null) replaceRecipe(writeRecipe(edit(recipe), text.present));
}

export function undoRecipe(): void {
  showText(undo(get().text), 0);
}

export function redoRecipe(): void {
  showText(redo(get().text), 0);
}

/** Checks the present text, and what it would make of the open model. */
export async function checkRecipe(): Promise<void> {
  const number = ++check;
  const isLatest = () => number === check;
  const { text } = get();
  set({ isChecking: true, ...(text.kind === null ? {} : { text: { ...text, kind: null } }) });
  let recipe: Recipe;
  try {
    ({ recipe } = await ask('recipe.parse', { text: text.present, calibrationTexts: [] }));
  } catch (error) {
    if (isLatest()) set({ recipe: null, error: serializeError(error), isChecking: false });
    return;
  }
  if (!isLatest()) return;
  set({ recipe, error: null });
  const model = useWorkbench.getState().model?.path;
  if (model === undefined) {
    set({ explained: null, estimated: null, planError: null, isChecking: false });
    return;
  }
  const [explained, estimated] = await Promise.allSettled([
    ask('explain', { model, recipe, tensor: null }),
    ask('estimate', { model, recipe, recipeFolder: '/', output: null }),
  ]);
  if (!isLatest()) return;
  const failed = [explained, estimated].find((outcome) => outcome.status === 'rejected');
  set({
    explained: explained.status === 'fulfilled' ? explained.value : null,
    estimated: estimated.status === 'fulfilled' ? estimated.value : null,
    planError: failed === undefined ? null : serializeError(failed.reason),
    isChecking: false,
  });
}
