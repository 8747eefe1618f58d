import type { Recipe } from '../../contract/recipe.ts';
import { matchOverrides } from '../match-overrides.ts';

/**
 * The tensors that a recipe's overrides leave as they are.
 *
 * @throws as `matchOverrides`
 */
export function skippedTensors(
  recipe: Pick<Recipe, 'overrides'>,
  names: readonly string[],
): { skip: Set<string>; notes: string[] } {
  const { byName, notes } = matchOverrides(recipe, names);
  const skip = new Set([...byName].flatMap(([name, { override }]) => (override.skip === true ? [name] : [])));
  return { skip, notes };
}
