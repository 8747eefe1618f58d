import type { RunsListResult } from '../../core/contract/runs-result.ts';
import type { RunsListInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatDuration, formatMainFigure, formatState, formatTime } from '../output/run-summary.ts';
import { formatTable, type Column } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe runs list`. */
export async function runRunsList(
  { limit, state }: RunsListInvocation,
  { engine }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).listRuns({ limit, state });
  return { document, summary: () => summarize(document), notes: notesOf(document) };
}

const COLUMNS: readonly Column[] = [
  { title: 'run', align: 'left' },
  { title: 'command', align: 'left' },
  { title: 'state', align: 'left' },
  { title: 'began', align: 'left' },
  { title: 'time', align: 'right' },
  { title: 'figure', align: 'left' },
  { title: 'model', align: 'left' },
  { title: 'output', align: 'left' },
];

function summarize({ runs, more }: RunsListResult): string[] {
  if (runs.length === 0) return ['There are no such runs.'];
  const rows = runs.map((run) => [
    escapeLine(run.runId),
    escapeLine(run.command),
    formatState(run),
    formatTime(run.startedAt),
    formatDuration(run.seconds),
    escapeLine(formatMainFigure(run)),
    escapeLine(run.model),
    run.output === null ? '-' : escapeLine(run.output),
  ]);
  return [...formatTable(COLUMNS, rows), ...(more === 0 ? [] : [`and ${more} more`])];
}

function notesOf({ unreadable }: RunsListResult): string[] {
  return unreadable.map(({ runId, what }) => `The run ${runId} cannot be read. ${what}`);
}
