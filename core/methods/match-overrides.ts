import type { Recipe, RecipeOverride } from '../contract/recipe.ts';
import { UsageError } from '../errors.ts';
import { quoted } from '../quoted.ts';

/** The override that decides over a tensor. */
export interface MatchedOverride {
  /** In the recipe. */
  index: number;
  override: RecipeOverride;
}

/**
 * Which override decides over each tensor: the last that matches. One that matches nothing is told in a note: a recipe is
 * for many models.
 *
 * @param names canonical names; a pattern is searched in them, as with Python's `re.search`
 * @throws UsageError RECIPE_INVALID_PATTERN for what is no regular expression
 */
export function matchOverrides(
  { overrides }: Pick<Recipe, 'overrides'>,
  names: readonly string[],
): { byName: Map<string, MatchedOverride>; notes: string[] } {
  const byName = new Map<string, MatchedOverride>();
  const notes: string[] = [];
  for (const [index, override] of overrides.entries()) {
    const pattern = compile(override.match);
    const matched = names.filter((name) => pattern.test(name));
    if (matched.length === 0) notes.push(`The override ${quoted(override.match)} matches no tensor of this model.`);
    for (const name of matched) byName.set(name, { index, override });
  }
  return { byName, notes };
}

function compile(match: string): RegExp {
  try {
    return new RegExp(match);
  } catch (cause) {
    throw new UsageError({
      code: 'RECIPE_INVALID_PATTERN',
      what: `In "overrides" the pattern ${quoted(match)} is no regular expression: ${cause instanceof Error ? cause.message : ''}.`,
      whatToDo: 'Correct the pattern.',
      cause,
    });
  }
}
