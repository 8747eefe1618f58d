/** What an engine in another process can be asked, with the parameters of each call. */
import * as z from 'zod';
import { KernelError } from '../errors.ts';
import { GGUF_MIXES } from './gguf-mixes.ts';
import { MAX_RECIPE_BYTES } from './parse-recipe.ts';
import { recipeSchema } from './recipe.ts';

const pathSchema = z.string().min(1).max(32_768);
const countSchema = z.int().positive();

/** How a call of the queue is to be run. */
const queuedSchema = z.strictObject({
  /** For people; made of the call where it is left out. */
  label: z.string().min(1).max(500).optional(),
  /** Higher first. */
  priority: z.int().min(-1000).max(1000).default(0),
  /** At most, of the engine's. */
  threads: countSchema.optional(),
});

const compressSchema = z.strictObject({
  model: pathSchema,
  output: pathSchema,
  recipe: recipeSchema,
  /** What the recipe's paths are relative to. */
  recipeFolder: pathSchema.default('.'),
  resume: z.boolean(),
  force: z.boolean(),
});

const restoreSchema = z.strictObject({
  model: pathSchema,
  output: pathSchema,
  force: z.boolean(),
  dtype: z.enum(['bf16', 'f16', 'f32']).nullable(),
  maxShardBytes: countSchema.nullable(),
});

const verifySchema = z.strictObject({ model: pathSchema, against: pathSchema.nullable() });

const evaluateSchema = z.strictObject({
  model: pathSchema,
  reference: pathSchema.nullable(),
  texts: z.array(pathSchema).max(1000),
  choices: pathSchema.nullable(),
  context: z.int().min(2),
  limitTokens: countSchema.nullable(),
  tokensOut: pathSchema.nullable(),
  noiseFloorSeed: z.int().nonnegative().nullable(),
  resume: z.boolean(),
  force: z.boolean(),
});

const inspectSchema = z.strictObject({ model: pathSchema, statistics: z.boolean() });

const estimateSchema = z.strictObject({
  model: pathSchema,
  recipe: recipeSchema,
  recipeFolder: pathSchema.default('.'),
  output: z.strictObject({ path: pathSchema, force: z.boolean() }).nullable(),
});

const explainSchema = z.strictObject({
  model: pathSchema,
  recipe: recipeSchema,
  tensor: z.string().max(1000).nullable(),
});

/** Texts that a model is shown. */
const shownSchema = z.strictObject({
  texts: z.array(pathSchema).min(1).max(1000),
  sequences: countSchema,
  sequenceLength: z.int().min(2),
  seed: z.int().nonnegative(),
});

const exportSchema = z.strictObject({
  model: pathSchema,
  output: pathSchema,
  type: z.enum(GGUF_MIXES),
  calibration: shownSchema.nullable(),
  imatrix: pathSchema.nullable(),
  method: z.enum(['rtn', 'gptq']),
  hasTokenizer: z.boolean(),
  force: z.boolean(),
});

const calibrateSchema = shownSchema.extend({ model: pathSchema, gram: z.boolean() });

/** A run's ID, or as many of its first characters as tell it from others. */
const runSchema = z.string().min(1).max(200);

const resumeSchema = z.strictObject({ run: runSchema });

const parseRecipeSchema = z.strictObject({
  /** YAML or JSON. */
  text: z.string().max(MAX_RECIPE_BYTES),
  /** In place of those of the recipe, where there are any. */
  calibrationTexts: z.array(pathSchema).max(1000),
});

const settingsSchema = z.strictObject({
  theme: z.enum(['system', 'light', 'dark']).optional(),
  threads: countSchema.max(4096).nullable().optional(),
  memoryLimitBytes: countSchema.nullable().optional(),
});

const nothingSchema = z.strictObject({});
const jobSchema = z.strictObject({ job: z.string() });

/** Parameters of the calls that wait in the queue for their turn. */
export const queuedCalls = {
  compress: compressSchema.extend({ queue: queuedSchema.prefault({}) }),
  restore: restoreSchema.extend({ queue: queuedSchema.prefault({}) }),
  verify: verifySchema.extend({ queue: queuedSchema.prefault({}) }),
  evaluate: evaluateSchema.extend({ queue: queuedSchema.prefault({}) }),
  export: exportSchema.extend({ queue: queuedSchema.prefault({}) }),
  calibrate: calibrateSchema.extend({ queue: queuedSchema.prefault({}) }),
  resume: resumeSchema.extend({ queue: queuedSchema.prefault({}) }),
} as const;

/** Parameters of the calls that are answered at once, whatever runs. */
export const directCalls = {
  inspect: inspectSchema,
  estimate: estimateSchema,
  explain: explainSchema,
  doctor: nothingSchema,
  presets: nothingSchema,
  'recipe.parse': parseRecipeSchema,
  'recipe.schema': nothingSchema,
  'runs.list': z.strictObject({ limit: countSchema.nullable() }),
  'runs.show': z.strictObject({ id: runSchema }),
  'runs.compare': z.strictObject({ ids: z.array(runSchema).min(1).max(100) }),
  'cache.show': nothingSchema,
  'cache.clear': nothingSchema,
  /** Null: the user's own folder. */
  'files.list': z.strictObject({ path: pathSchema.nullable() }),
  'models.recent': nothingSchema,
  'models.open': z.strictObject({ path: pathSchema }),
  'models.forget': z.strictObject({ path: pathSchema }),
  sample: nothingSchema,
  'settings.get': nothingSchema,
  /** What is left out stays as it is. */
  'settings.set': settingsSchema,
  'jobs.pause': jobSchema,
  'jobs.resume': jobSchema,
  'jobs.cancel': jobSchema,
  'jobs.remove': jobSchema,
  'jobs.setPriority': jobSchema.extend({ priority: z.int().min(-1000).max(1000) }),
  /** Right before another job; null: last. */
  'jobs.move': jobSchema.extend({ before: z.string().nullable() }),
} as const;

export type QueuedMethod = keyof typeof queuedCalls;
export type DirectMethod = keyof typeof directCalls;
export type EngineMethod = QueuedMethod | DirectMethod;

/** What a caller gives: defaults may be left out. */
export type CallParams<Method extends EngineMethod> = Method extends QueuedMethod
  ? z.input<(typeof queuedCalls)[Method]>
  : Method extends DirectMethod
    ? z.input<(typeof directCalls)[Method]>
    : never;

export const engineMethods = [...Object.keys(queuedCalls), ...Object.keys(directCalls)] as [
  EngineMethod,
  ...EngineMethod[],
];

export function isQueuedMethod(method: EngineMethod): method is QueuedMethod {
  return Object.hasOwn(queuedCalls, method);
}

/** @throws KernelError ENGINE_PROTOCOL, naming the call and the first parameter that is wrong */
export function parseParams<Schema extends z.ZodType>(
  schema: Schema,
  method: EngineMethod,
  params: unknown,
): z.infer<Schema> {
  const result = schema.safeParse(params);
  if (result.success) return result.data;
  throw new KernelError({
    code: 'ENGINE_PROTOCOL',
    what: `The call "${method}" has parameters that it does not take: ${firstFault(result.error)}.`,
    whatToDo: 'Use a window and an engine of the same version.',
  });
}

/** The place and the kind of the first thing that is wrong. */
export function firstFault({ issues }: z.ZodError): string {
  const [issue] = issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`;
}
