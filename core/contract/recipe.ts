/**
 * Recipes, version 1: what a run does to a model, as people write it.
 *
 * Source: the contract, section 3. The schema knows every step and key of the contract, so that a mistake in any of them is
 * found; what this release cannot run yet is refused by name (`unsupported-recipe.ts`), never ignored.
 */
import * as z from 'zod';
import { QUANTIZED_FORMATS } from './quantized-formats.ts';

const pathSchema = z.string().min(1).max(4096);
const fractionSchema = z.number().min(0).max(1);
const seedSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Any size that a file can have. */
const bytesSchema = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const patternSchema = z.string().min(1).max(1000);

const calibrationTextSchema = z
  .strictObject({
    text: z.array(pathSchema).min(1).max(1000).describe('Text files, relative to the recipe: .txt, UTF-8.'),
    field: z.string().min(1).max(1000).optional().describe('Of the lines of .jsonl files: which holds the text.'),
    sequences: z.int().min(1).max(1_000_000).default(64).describe('Windows that are drawn from the texts.'),
    sequenceLength: z.int().min(2).max(1_000_000).default(256).describe('Tokens of a window.'),
    seed: seedSchema.default(0).describe('Which windows are drawn.'),
  })
  .describe('Texts that the model is shown.');

const calibrationImatrixSchema = z
  .strictObject({ imatrix: pathSchema.describe("llama.cpp's importance matrix, in GGUF.") })
  .describe('In place of texts.');

const unitsSchema = z
  .union([z.literal('auto'), z.record(patternSchema, z.array(z.string().min(1).max(1000)).max(10_000))])
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

const formatSchema = z.enum(QUANTIZED_FORMATS);

/** Of the tensors that a step touches. */
const includeSchema = z
  .array(z.enum(['blocks', 'embeddings', 'head']))
  .min(1)
  .max(3);

const quantizeAllocationSchema = z
  .strictObject({
    method: z.enum(['uniform', 'dp', 'evopress']).describe('dp: the least measured damage within the budget.'),
    averageBits: z
      .number()
      .min(0.1)
      .max(32)
      .optional()
      .describe('Upper bound: every stored bit over the weights that the step touches.'),
    totalBytes: bytesSchema.optional().describe('In its place, an upper bound of the whole output file.'),
    formats: z.array(formatSchema).min(1).max(64).describe('What each tensor may become.'),
  })
  .refine(({ averageBits, totalBytes }) => (averageBits === undefined) !== (totalBytes === undefined), {
    message: 'expected either averageBits or totalBytes',
  });

const quantizeSchema = z
  .strictObject({
    step: z.literal('quantize'),
    method: z
      .enum(['rtn', 'gptq', 'awq', 'hqq', 'adaquant'])
      .default('rtn')
      .describe('rtn: rounding to nearest; gptq: error feedback from column to column, by a calibration.'),
    format: formatSchema.optional().describe('A block format, or a mix of them such as q4_k_m.'),
    groupSize: z.int().min(1).max(65_536).optional().describe('Weights that share a scale, of integer formats.'),
    include: includeSchema
      .optional()
      .describe('Which matrices; default: the linear maps of the blocks, and all of them with a mix.'),
    allocation: quantizeAllocationSchema.optional().describe('In place of one format: a format a tensor.'),
  })
  .refine(({ format, allocation }) => (format === undefined) !== (allocation === undefined), {
    message: 'expected either a format or an allocation',
  })
  .describe('Fewer bits a weight.');

const pruneSchema = z
  .strictObject({
    step: z.literal('prune'),
    method: z.enum(['magnitude', 'wanda', 'sparsegpt', 'dsnot']),
    sparsity: fractionSchema.describe('Fraction of zeros over all matrices that the step touches.'),
    pattern: z.enum(['unstructured', '2:4', '4:8']).default('unstructured'),
    include: includeSchema.optional(),
    allocation: z
      .strictObject({
        method: z.enum(['uniform', 'dp', 'evopress', 'owl']),
        levels: z.int().min(2).max(255).optional(),
      })
      .optional(),
  })
  .describe('Zeros in place of weights.');

const dropSchema = z
  .strictObject({
    step: z.literal('drop'),
    modules: z.enum(['attention+mlp', 'attention', 'mlp', 'block']),
    fraction: fractionSchema,
    allocation: z.strictObject({ method: z.enum(['evopress', 'uniform']) }).optional(),
  })
  .describe('Whole blocks, or halves of them, left out.');

const deltaSchema = z
  .strictObject({
    step: z.literal('delta'),
    base: pathSchema.describe('The model that this one is a fine-tune of.'),
    method: z.enum(['dare', 'darex-q', 'magnitude', 'wanda', 'bitdelta']),
    dropRate: fractionSchema.optional(),
    seed: seedSchema.default(0),
  })
  .describe('What a fine-tune changed, compressed by itself.');

const stepSchema = z.discriminatedUnion('step', [
  pruneSchema,
  quantizeSchema,
  dropSchema,
  deltaSchema,
  z.discriminatedUnion('codec', [encodeDfloat11Schema, encodeSplitPlaneSchema]),
]);

const overrideSchema = z
  .strictObject({
    match: patternSchema.describe("Regular expression searched in the tensor's canonical name."),
    skip: z.literal(true).optional().describe('Leave these tensors as they are.'),
    quantize: z
      .strictObject({
        format: formatSchema.optional(),
        method: z.enum(['rtn', 'gptq', 'awq', 'hqq', 'adaquant']).optional(),
        groupSize: z.int().min(1).max(65_536).optional(),
      })
      .refine((value) => Object.keys(value).length > 0, { message: 'expected a format, a method or a groupSize' })
      .optional()
      .describe('What the quantize step does to these tensors, in place of what it does to others.'),
    prune: z.strictObject({ sparsity: fractionSchema }).optional(),
  })
  .refine(({ skip, quantize, prune }) => [skip, quantize, prune].filter((what) => what !== undefined).length === 1, {
    message: 'expected one of skip, quantize and prune',
  });

const evaluateSchema = z
  .strictObject({
    text: z.array(pathSchema).min(1).max(1000).describe('Text files, relative to the recipe.'),
    context: z.int().min(2).max(1_000_000).default(256).describe('Tokens of a window.'),
    limitTokens: z.int().min(2).max(Number.MAX_SAFE_INTEGER).optional().describe('Of each text, the first so many.'),
    reference: z.literal('source').default('source').describe('What the new model is compared with.'),
  })
  .describe('What it cost: measured on the new model once it is in its place, and kept in lathe.json.');

const limitsSchema = z
  .strictObject({
    perplexityIncrease: z.number().min(0).optional().describe("Relative to the source's: 0.05 is five percent."),
    klDivergence: z.number().min(0).optional().describe('Mean over all predictions, in nats.'),
  })
  .refine((value) => Object.keys(value).length > 0, { message: 'expected perplexityIncrease or klDivergence' })
  .describe('Exit 6 where one is missed; the output is kept.');

export const recipeSchema = z
  .strictObject({
    lathe: z.literal(1).describe('Recipe version.'),
    name: z.string().max(200).optional(),
    calibration: z.union([calibrationTextSchema, calibrationImatrixSchema]).optional(),
    steps: z.array(stepSchema).min(1).max(100).describe('In order, each acts on the result of the one before.'),
    overrides: z.array(overrideSchema).max(10_000).default([]).describe('Last match wins.'),
    evaluate: evaluateSchema.optional(),
    limits: limitsSchema.optional(),
  })
  .describe('A Lathe recipe.');

/** A recipe with every default filled in. */
export type Recipe = z.infer<typeof recipeSchema>;

export type EncodeDfloat11Step = z.infer<typeof encodeDfloat11Schema>;
export type EncodeSplitPlaneStep = z.infer<typeof encodeSplitPlaneSchema>;
export type EncodeStep = EncodeDfloat11Step | EncodeSplitPlaneStep;
export type QuantizeStep = z.infer<typeof quantizeSchema>;
export type RecipeOverride = z.infer<typeof overrideSchema>;
