/**
 * `lathe.json`: what lies beside every compressed model, so that it can be verified and undone years later.
 *
 * It holds no time, host or thread count: the same model, recipe and version give the same bytes. `integrity` is the
 * SHA-256 of the file's own text with that value left empty, so that a changed `lathe.json` is found too.
 */
import * as z from 'zod';
import { FormatError } from '../errors.ts';
import { printable } from '../quoted.ts';
import { isPlainRelativePath } from '../relative-path.ts';
import { recipeSchema } from './recipe.ts';

export const LATHE_FILE_NAME = 'lathe.json';

/** Holds the original headers (base64) of huge models: far above those, and half of what a text in V8 can have. */
export const MAX_LATHE_FILE_BYTES = 256 << 20;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const countSchema = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
/** Files are written and read by these names, so none may lead out of the folder. */
const pathSchema = z.string().min(1).refine(isPlainRelativePath, 'not a plain path inside the folder');
const fileSchema = z.object({ path: pathSchema, bytes: countSchema, sha256: sha256Schema });
/** Weight files have a second checksum: `restore` takes it, because SHA-256 would take longer than decoding. */
const sourceFileSchema = fileSchema.extend({
  xxh3: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
});

const inputFileSchema = z.object({ file: z.string(), bytes: countSchema, sha256: sha256Schema });

const quantizationSchema = z.object({
  calibration: z
    .object({
      texts: z.array(inputFileSchema),
      sequences: countSchema,
      sequenceLength: countSchema,
      seed: countSchema,
    })
    .nullable(),
  imatrix: inputFileSchema.nullable(),
  /** How an allocation came out; null without. */
  allocation: z
    .object({
      method: z.enum(['uniform', 'dp']),
      averageBits: z.number(),
      /** Sum over tensors of the divergence that each alone was found to cause, in nats; null where nothing was measured. */
      predictedKlDivergence: z.number().nullable(),
      /** False where costs had to be rounded: another choice within the budget may be better. */
      isExact: z.boolean(),
    })
    .nullable(),
  /** On what it ran: error feedback may differ in the last bits between kinds of processors. */
  ranOn: z.object({ architecture: z.string(), backend: z.string() }),
});

const metricsSchema = z.object({
  text: z.string(),
  sha256: sha256Schema,
  /** Of the whole text, or as many as were kept. */
  tokens: countSchema,
  context: countSchema,
  windows: countSchema,
  predictions: countSchema,
  meanNegativeLogLikelihood: z.number(),
  standardError: z.number().nullable(),
  perplexity: z.number(),
  referencePerplexity: z.number(),
  perplexityRatio: z.number(),
  klDivergence: z.object({ mean: z.number(), standardError: z.number().nullable(), p99: z.number(), max: z.number() }),
  top1Agreement: z.number(),
});

/** What an evaluation within a recipe found. */
export type RecipeMetrics = z.infer<typeof metricsSchema>;
export type QuantizationFacts = z.infer<typeof quantizationSchema>;

export const latheFileSchema = z
  .object({
    schema: z.literal(1),
    program: z.object({ name: z.literal('lathe'), version: z.string() }),
    method: z.enum(['dfloat11', 'split-plane', 'gguf']),
    lossless: z.boolean(),
    recipe: recipeSchema,
    /** Of what was drawn; null where nothing was. */
    seed: z.number().nullable(),
    source: z.object({
      kind: z.enum(['folder', 'file']),
      architecture: z.string().nullable(),
      parameters: countSchema,
      storedBytes: countSchema,
      files: z.array(sourceFileSchema),
      emptyFolders: z.array(pathSchema),
    }),
    output: z.object({
      storedBytes: countSchema,
      fileBytes: countSchema,
      bitsPerWeight: z.number(),
      files: z.array(fileSchema),
    }),
    tensors: z.array(
      z.object({
        name: z.string(),
        canonicalName: z.string(),
        dtype: z.string(),
        shape: z.array(countSchema),
        method: z.string(),
        storedBytes: countSchema,
        bitsPerWeight: z.number(),
        /** Relative root-mean-square error of the weights; 0 for lossless methods. */
        error: z.number().nonnegative(),
        file: z.string(),
      }),
    ),
    notes: z.array(z.string()),
    /** What the weights were quantized by. */
    quantization: quantizationSchema.optional(),
    /** What the recipe's evaluation measured, once it has; one entry a text. */
    metrics: z.array(metricsSchema).optional(),
    /** Whether a text that was measured shares paragraphs with one that the model was calibrated on. */
    overlap: z.boolean().optional(),
    /** What the output's own layout cannot hold, by path in the source. */
    original: z.object({
      /** Base64 of the first 8 + n bytes of weight files. */
      headers: z.record(pathSchema, z.base64()),
      /** Base64 of whole small files that the output has in another form, or not at all. */
      files: z.record(pathSchema, z.base64()),
      /** Files that stand in the output under another name: its path there. */
      renamed: z.record(pathSchema, pathSchema),
    }),
    integrity: z.string(),
  })
  .refine(({ method, lossless }) => lossless === (method !== 'gguf'), { message: 'a method that is not what it says' });

export type LatheFile = z.infer<typeof latheFileSchema>;

const UNSEALED = '"integrity": ""';

/** The text of the file, sealed with its own hash. */
export function writeLatheFile(content: Omit<LatheFile, 'integrity'>, sha256: (text: string) => string): string {
  const open = `${JSON.stringify({ ...content, integrity: '' }, null, 1)}\n`;
  return open.replace(/"integrity": ""(?=\n\}\n$)/, `"integrity": "${sha256(open)}"`);
}

/**
 * Reads and checks the file.
 *
 * @throws FormatError FORMAT_LATHE_JSON_INVALID
 */
export function parseLatheFile(text: string, file: string, sha256: (text: string) => string): LatheFile {
  function invalid(why: string, cause?: unknown): FormatError {
    return new FormatError({
      code: 'FORMAT_LATHE_JSON_INVALID',
      what: `"${file}" ${why}.`,
      where: { file },
      whatToDo: 'Get the compressed folder again, lathe.json included.',
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('is not JSON', cause);
  }
  const result = latheFileSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    const found = printable(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
    throw invalid(`is not a result file of this version: ${found}`);
  }
  const seal = /"integrity": "([0-9a-f]{64})"(?=\n\}\n$)/.exec(text);
  if (seal === null || sha256(text.replace(seal[0], UNSEALED)) !== seal[1]) {
    throw invalid('was changed after it was written: its own checksum does not hold');
  }
  return result.data;
}
