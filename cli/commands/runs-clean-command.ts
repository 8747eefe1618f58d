import type { RunsCleanResult } from '../../core/contract/runs-result.ts';
import { formatBytes, formatCount } from '../../core/units.ts';
import type { RunsCleanInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe runs clean`. */
export async function runRunsClean(
  { ids, keep, olderThanDays, dryRun }: RunsCleanInvocation,
  { engine }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).cleanRuns({ ids, keep, olderThanDays, dryRun });
  return { document, summary: () => summarize(document), notes: [] };
}

function summarize({ removed, bytes, kept, dryRun }: RunsCleanResult): string[] {
  const lines = removed.map(({ runId, command }) => `  ${escapeLine(runId)}  ${escapeLine(command ?? 'not readable')}`);
  const verb = dryRun ? 'Would remove' : 'Removed';
  return [`${verb} ${formatCount(removed.length)} runs (${formatBytes(bytes)}); ${formatCount(kept)} stay.`, ...lines];
}
