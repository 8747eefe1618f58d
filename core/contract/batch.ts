/** Batches, version 1: many recipes on many models, as people write it. Source: the contract, section 3. */
import * as z from 'zod';
import { parseDocument } from './parse-document.ts';

/** Room for 10,000 models; a larger file is something else given by mistake. */
export const MAX_BATCH_BYTES = 512 << 10;
/** Models, and recipes; of their product see `planBatch`. */
const MAX_NAMES = 1000;
/** More at once would only wait for one another. */
const MAX_CONCURRENCY = 64;

const pathSchema = z.string().min(1).max(4096);

export const batchSchema = z
  .strictObject({
    lathe: z.literal(1).describe('Batch version.'),
    name: z.string().max(200).optional(),
    models: z.array(pathSchema).min(1).max(MAX_NAMES).describe('Models; paths are relative to this file.'),
    recipes: z.array(pathSchema).min(1).max(MAX_NAMES).describe('Recipe files; each runs on every model.'),
    output: pathSchema.describe('Folder of the outputs: <output>/<model folder>/<recipe file without ending>.'),
    concurrency: z
      .int()
      .min(1)
      .max(MAX_CONCURRENCY)
      .default(1)
      .describe('Jobs at once; they share the threads and the memory of one run.'),
  })
  .describe('A Lathe batch.');

/** A batch with every default filled in. */
export type Batch = z.infer<typeof batchSchema>;

/**
 * Parses a batch file, YAML 1.2 or JSON, and checks it against its schema.
 *
 * @param text at most `MAX_BATCH_BYTES`
 * @throws UsageError BATCH_SYNTAX, BATCH_UNKNOWN_KEY, BATCH_INVALID_VALUE; `where` has line and column, counted from 1
 */
export function parseBatch(text: string, file: string): Batch {
  const codes = {
    syntax: 'BATCH_SYNTAX',
    unknownKey: 'BATCH_UNKNOWN_KEY',
    invalidValue: 'BATCH_INVALID_VALUE',
  } as const;
  return parseDocument(text, file, { noun: 'batch', schema: batchSchema, codes });
}
