/** What the lines of a journal say. A journal is a file: whatever is read from one is checked against these schemas. */
import * as z from 'zod';
import { runFiguresSchema } from './run-figures.ts';
import { JobError } from '../errors.ts';
import { isRecord } from '../is-record.ts';

/** Stands in the first line. 1 had no number and kept no options; what 2 added is optional, so that 1 is still read. */
export const JOURNAL_SCHEMA = 2;

const fingerprintsSchema = z.object({
  version: z.string(),
  recipe: z.string(),
  model: z.string(),
  modelFiles: z.array(z.tuple([z.string(), z.number(), z.number()])),
  inputs: z.array(z.tuple([z.string(), z.string()])).optional(),
});

const errorSchema = z.object({
  code: z.string(),
  what: z.string(),
  where: z.object({
    file: z.string().optional(),
    tensor: z.string().optional(),
    byteOffset: z.number().optional(),
    line: z.number().optional(),
    column: z.number().optional(),
    job: z.string().optional(),
  }),
  whatToDo: z.string(),
  retryable: z.boolean(),
  stack: z.string().optional(),
});

const runLineSchema = z.object({
  type: z.literal('run'),
  schema: z.int().default(1),
  runId: z.string(),
  command: z.string(),
  /** As it was named. */
  model: z.string(),
  /** Absolute; empty where the run writes none. */
  output: z.string(),
  startedAt: z.string(),
  fingerprints: fingerprintsSchema,
  /** Every option of the call, paths absolute. */
  options: z.record(z.string(), z.unknown()).optional(),
  /** How files were named, by their absolute paths: results and files of tokens tell these names. */
  names: z.record(z.string(), z.string()).optional(),
  host: z.string().optional(),
  threads: z.number().optional(),
  memoryLimitBytes: z.number().nullable().optional(),
  /** What each evaluated file held. */
  inputs: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })).optional(),
});

const journalLineSchema = z.discriminatedUnion('type', [
  runLineSchema,
  z.object({ type: z.literal('resumed'), at: z.string() }),
  /** How many items (or windows and choices) there are in all. */
  z.object({ type: z.literal('plan'), items: z.number() }),
  z.object({ type: z.literal('stage'), stage: z.string(), at: z.string() }),
  z.object({ type: z.literal('item'), key: z.string(), record: z.record(z.string(), z.unknown()) }),
  /** Scores of windows `from` up to before `to` of a text (a task) are in the run's score file, in this range. */
  z.object({
    type: z.literal('windows'),
    task: z.string(),
    from: z.int().nonnegative(),
    to: z.int().nonnegative(),
    offsetBytes: z.int().nonnegative(),
    sizeBytes: z.int().nonnegative(),
  }),
  /** Log-likelihoods of choices `from` and on, in the order in which they are scored. */
  z.object({
    type: z.literal('choices'),
    from: z.int().nonnegative(),
    logLikelihoods: z.array(z.number()),
    referenceLogLikelihoods: z.array(z.number()).nullable(),
  }),
  /** Everything is written and verified; the output, of which this is the `lathe.json`, is about to take its place. */
  z.object({ type: z.literal('committing'), latheFileSha256: z.string() }),
  z.object({
    type: z.literal('done'),
    at: z.string(),
    seconds: z.number(),
    /** Left out where one of them is no number: that a run is done must not be lost over it. */
    figures: runFiguresSchema.optional().catch(undefined),
  }),
  z.object({ type: z.literal('failed'), at: z.string(), seconds: z.number().optional(), error: errorSchema }),
  z.object({ type: z.literal('interrupted'), at: z.string(), seconds: z.number().optional() }),
]);

export type JournalLine = z.input<typeof journalLineSchema>;
export type RunLine = z.infer<typeof runLineSchema>;
export type ReadLine = z.infer<typeof journalLineSchema>;

/**
 * One line of a journal; null if a crash tore it, or anything else is not right with it.
 *
 * @throws JobError RUN_JOURNAL_NEWER for the first line of a journal that a newer program wrote
 */
export function parseJournalLine(text: string, path: string): ReadLine | null {
  const value = parseJson(text);
  if (!isRecord(value)) return null;
  if (value['type'] === 'run') refuseNewer(value['schema'], path);
  const parsed = journalLineSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refuseNewer(schema: unknown, path: string): void {
  if (typeof schema !== 'number' || schema <= JOURNAL_SCHEMA) return;
  throw new JobError({
    code: 'RUN_JOURNAL_NEWER',
    what: `The journal "${path}" is of version ${schema}, and this Lathe knows versions up to ${JOURNAL_SCHEMA}.`,
    where: { file: path },
    whatToDo: 'Use the version of Lathe that began this run, or a newer one.',
  });
}
