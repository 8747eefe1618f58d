import { formatBytes, formatCount } from '../../core/units.ts';
import type { CacheClearInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe cache show`. */
export async function runCacheShow({ engine }: CommandContext): Promise<CommandOutcome> {
  const document = await (await engine()).showCache();
  function summary(): string[] {
    const { folder, kinds, entries, bytes, limitBytes } = document;
    const rows = kinds.map((kind) => [escapeLine(kind.kind), formatCount(kind.entries), formatBytes(kind.bytes)]);
    const table = formatTable(
      [
        { title: 'kind', align: 'left' },
        { title: 'entries', align: 'right' },
        { title: 'size', align: 'right' },
      ],
      rows,
    );
    return [
      ...(rows.length === 0 ? [] : [...table, '']),
      ...formatPairs([
        ['Folder', escapeLine(folder)],
        ['Entries', `${formatCount(entries)}, ${formatBytes(bytes)} of ${formatBytes(limitBytes)}`],
      ]),
    ];
  }
  return { document, summary, notes: [] };
}

/** `lathe cache clear`, with `--dry-run` only what it would remove. */
export async function runCacheClear(
  { dryRun }: CacheClearInvocation,
  { engine }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).clearCache({ dryRun });
  const { entries, bytes, folder } = document;
  const what = `${formatCount(entries)} entries, ${formatBytes(bytes)}, ${dryRun ? 'would be' : 'were'} removed from`;
  return { document, summary: () => [`${what} ${escapeLine(folder)}.`], notes: [] };
}
