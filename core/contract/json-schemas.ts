/** The JSON Schemas that Lathe publishes, made from the very schemas that it checks with. */
import * as z from 'zod';
import { latheFileSchema } from './lathe-file.ts';
import { recipeSchema } from './recipe.ts';

/**
 * JSON Schemas, draft 2020-12, by the name that `lathe schema` takes: a recipe as people write it, and `lathe.json`.
 *
 * They say what Lathe accepts (`io: 'input'`): what has a default may be missing, and a result may have keys of later
 * releases.
 */
export const JSON_SCHEMAS: Readonly<Record<'recipe' | 'result', () => Record<string, unknown>>> = {
  recipe: () => ({ title: 'Lathe recipe', ...z.toJSONSchema(recipeSchema, { io: 'input' }) }),
  result: () => ({ title: 'lathe.json of a compressed model', ...z.toJSONSchema(latheFileSchema, { io: 'input' }) }),
};
