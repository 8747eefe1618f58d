/** The JSON Schemas that Lathe publishes, made from the very schemas that it checks with. */
import * as z from 'zod';
import { batchSchema } from './batch.ts';
import { latheFileSchema } from './lathe-file.ts';
import { recipeSchema } from './recipe.ts';

/**
 * JSON Schemas, draft 2020-12, by the name that `lathe schema` takes: a recipe and a batch as people write them, and
 * `lathe.json`.
 *
 * They say what Lathe accepts (`io: 'input'`): what has a default may be missing, and a result may have keys of later
 * releases.
 */
export const JSON_SCHEMAS: Readonly<Record<'recipe' | 'batch' | 'result', () => Record<string, unknown>>> = {
  recipe: () => ({ title: 'Lathe recipe', ...z.toJSONSchema(recipeSchema, { io: 'input' }) }),
  batch: () => ({ title: 'Lathe batch', ...z.toJSONSchema(batchSchema, { io: 'input' }) }),
  result: () => ({ title: 'lathe.json of a compressed model', ...z.toJSONSchema(latheFileSchema, { io: 'input' }) }),
};
