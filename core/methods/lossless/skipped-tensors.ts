import type { Recipe } from '../../contract/recipe.ts';
import { UsageError } from '../../errors.ts';
import { quoted } from '../../quoted.ts';

/**
 * The tensors that a recipe's overrides leave as they are. An override that matches nothing is told in a note: a recipe
 * is for many models.
 *
 * @param names canonical names; a pattern is searched in them, as with Python's `re.search`
 * @throws UsageError RECIPE_INVALID_PATTERN for what is no regular expression
 */
export function skippedTensors(recipe: Recipe, names: readonly string[]): { skip: Set<string>; notes: string[] } {
  const skip = new Set<string>();
  const notes: string[] = [];
  for (const { match } of recipe.overrides) {
    const pattern = compile(match);
    const matched = names.filter((name) => pattern.test(name));
    if (matched.length === 0) notes.push(`The override ${quoted(match)} matches no tensor of this model.`);
    for (const name of matched) skip.add(name);
  }
  return { skip, notes };
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
