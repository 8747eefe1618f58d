/** What stands in the `.json` of a measurement cache's entry (docs/formats/measurement-cache.md). */
import * as z from 'zod';

/** Of the format; entries of others are measured again. */
export const CACHE_VERSION = 1;

const sizeSchema = z.int().nonnegative();

const sectionSchema = z.object({
  name: z.string().max(1000),
  dtype: z.enum(['F64', 'F32']),
  shape: z.array(sizeSchema).max(4),
  /** In the `.bin`. */
  offsetBytes: sizeSchema,
});

const cacheEntrySchema = z.object({
  version: z.literal(CACHE_VERSION),
  /** What it is, as in "input-columns". */
  kind: z.string().min(1).max(100),
  /** All that it depends on, as it went into the key. */
  key: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  sections: z.array(sectionSchema).max(1000),
  /** What does not fit into numbers, such as names. */
  facts: z.record(z.string(), z.unknown()),
  /** Of the `.bin`. */
  sizeBytes: sizeSchema,
  sha256: z.string().length(64),
});

export type CacheSection = z.infer<typeof sectionSchema>;
export type CacheEntry = z.infer<typeof cacheEntrySchema>;

/** Null for anything that is not an entry of this version whose sections lie within its data. */
export function parseCacheEntry(text: string): CacheEntry | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const result = cacheEntrySchema.safeParse(value);
  if (!result.success) return null;
  const { sections, sizeBytes } = result.data;
  return sections.every((section) => section.offsetBytes + sectionBytes(section) <= sizeBytes) ? result.data : null;
}

export function sectionBytes({ dtype, shape }: CacheSection): number {
  return shape.reduce((product, dimension) => product * dimension, dtype === 'F64' ? 8 : 4);
}
