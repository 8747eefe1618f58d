/** The result document of `lathe explain`. */
import type { Recipe } from './recipe.ts';

export interface ExplainedTensor {
  /** Hugging Face's name. */
  name: string;
  /** [out, in]; empty for a 0-d tensor. */
  shape: readonly number[];
  dtype: string;
  /** What it becomes: a block type, dfloat11, split-plane, or its own dtype where it stays plain. */
  becomes: string;
  /** What an allocation may choose from; left out where there is nothing to choose. */
  choices?: string[];
  /** Of a quantized tensor: rtn or gptq; null for others. */
  method: string | null;
  /** Which part of the recipe, or of the format, decided. */
  rule: string;
}

export interface ExplainResult {
  schema: 1;
  model: string;
  /** With every default filled in. */
  recipe: Recipe;
  /** Those that were asked for. */
  tensors: ExplainedTensor[];
  notes: string[];
}
