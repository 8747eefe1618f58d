/**
 * Recipes, version 1: what a run does to a model, as people write it.
 *
 * Source: the contract, section 3. This release runs recipes with one `encode` step; what it cannot run yet is refused by
 * name (`RECIPE_NOT_SUPPORTED`), never ignored.
 */
import * as z from 'zod';

const unitsSchema = z
  .union([z.literal('auto'), z.record(z.string().min(1).max(1000), z.array(z.string().min(1).max(1000)).max(10_000))])
  .describe(
    'The groups of tensors that share one code: auto, or { regex of module names: [paths within the module] }.',
  );

const encodeDfloat11Schema = z
  .strictObject({
    step: z.literal('encode'),
    codec: z.literal('dfloat11'),
    units: unitsSchema.default('auto'),
  })
  .describe("DFloat11 in the official package's layout, version 0.5.0: BF16 linear maps, lossless.");

const encodeSplitPlaneSchema = z
  .strictObject({
    step: z.literal('encode'),
    codec: z.literal('split-plane'),
    coder: z
      .enum(['smallest', 'rans12x32', 'huff12', 'pal4'])
      .default('smallest')
      .describe('Which coder packs the exponents; smallest decides per plane.'),
  })
  .describe('split-plane v1: every dtype, lossless.');

const overrideSchema = z.strictObject({
  match: z.string().min(1).max(1000).describe("Regular expression searched in the tensor's canonical name."),
  skip: z.literal(true).describe('Leave these tensors as they are.'),
});

export const recipeSchema = z
  .strictObject({
    lathe: z.literal(1).describe('Recipe version.'),
    name: z.string().max(200).optional(),
    steps: z
      .array(z.discriminatedUnion('codec', [encodeDfloat11Schema, encodeSplitPlaneSchema]))
      .length(1)
      .describe('In order, each acts on the result of the one before. This release takes one encode step.'),
    overrides: z.array(overrideSchema).max(10_000).default([]).describe('Last match wins.'),
  })
  .describe('A Lathe recipe.');

/** A recipe with every default filled in. */
export type Recipe = z.infer<typeof recipeSchema>;

export type EncodeDfloat11Step = z.infer<typeof encodeDfloat11Schema>;
export type EncodeSplitPlaneStep = z.infer<typeof encodeSplitPlaneSchema>;

/** Steps and keys of the contract that this release does not run yet. */
export const LATER_STEPS: readonly string[] = ['prune', 'quantize', 'drop', 'delta'];
export const LATER_KEYS: readonly string[] = ['calibration', 'evaluate', 'limits'];
