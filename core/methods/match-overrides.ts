import type { Recipe, RecipeOverride } from '../contract/recipe.ts';
import { UsageError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import { patternCost } from './pattern-cost.ts';

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
    const pattern = compilePattern(override.match);
    const matched = names.filter((name) => pattern.test(name));
    if (matched.length === 0) notes.push(`The override ${quoted(override.match)} matches no tensor of this model.`);
    for (const name of matched) byName.set(name, { index, override });
  }
  return { byName, notes };
}

/** @throws UsageError RECIPE_INVALID_PATTERN for what is no regular expression, and for one that might take for ever */
function compilePattern(match: string): RegExp {
  try {
    const pattern = new RegExp(match);
    const cost = patternCost(match);
    if (cost === null) return pattern;
    throw new UsageError({
      code: 'RECIPE_INVALID_PATTERN',
      what: `In "overrides" the pattern ${quoted(match)} ${cost}, so that matching it could take for ever.`,
      whatToDo: 'Write it without that, or as several overrides.',
    });
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError({
      code: 'RECIPE_INVALID_PATTERN',
      what: `In "overrides" the pattern ${quoted(match)} is no regular expression: ${cause instanceof Error ? cause.message : ''}.`,
      whatToDo: 'Correct the pattern.',
      cause,
    });
  }
}
