/** The figures that a run's journal keeps of its result, as `lathe runs` tells them. */
import * as z from 'zod';

const evaluatedFiguresSchema = z.object({
  /** As it was named. */
  text: z.string(),
  tokens: z.number(),
  windows: z.number(),
  predictions: z.number(),
  context: z.number(),
  meanNegativeLogLikelihood: z.number(),
  perplexity: z.number(),
  standardError: z.number().nullable(),
  /** The rest only with a reference. */
  referencePerplexity: z.number().optional(),
  klDivergenceMean: z.number().optional(),
  /** Of the mean, over windows; null with one window. */
  klDivergenceStandardError: z.number().nullable().optional(),
  top1Agreement: z.number().optional(),
});

/** What a run came to; which of it there is depends on its command. */
export const runFiguresSchema = z.object({
  seconds: z.number(),
  cpuSeconds: z.number(),
  peakRssBytes: z.number(),
  /** Of a compression; `parameters` and the sizes as in its result. */
  parameters: z.number().optional(),
  storedBytes: z.number().optional(),
  fileBytes: z.number().optional(),
  sourceStoredBytes: z.number().optional(),
  bitsPerWeight: z.number().optional(),
  /** Of a compression: which limit of its recipe it missed. */
  missedLimit: z.string().optional(),
  /** Of an evaluation, or of a compression whose recipe asks for one. */
  texts: z.array(evaluatedFiguresSchema).optional(),
  choices: z
    .object({ file: z.string(), questions: z.number(), accuracy: z.number(), accuracyNormalized: z.number() })
    .optional(),
  /** Of a restoration. */
  files: z.number().optional(),
  restoredBytes: z.number().optional(),
  lossless: z.boolean().optional(),
  filesIdentical: z.boolean().optional(),
});

export type RunFigures = z.infer<typeof runFiguresSchema>;
