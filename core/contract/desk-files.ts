/** What a workbench keeps in LATHE_HOME beside its runs: `recent.json` and `settings.json`. */
import * as z from 'zod';

export const recentFileSchema = z.object({
  schema: z.literal(1),
  models: z.array(z.object({ path: z.string(), openedAt: z.string() })),
});

export type RecentFile = z.infer<typeof recentFileSchema>;

export const settingsFileSchema = z.object({
  schema: z.literal(1),
  theme: z.enum(['system', 'light', 'dark']),
  threads: z.int().positive().nullable(),
  memoryLimitBytes: z.int().positive().nullable(),
});

export type KeptSettings = z.infer<typeof settingsFileSchema>;
