import type { ComparedFigure, RunsCompareResult } from '../../core/contract/runs-result.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import type { RunsCompareInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatState } from '../output/run-summary.ts';
import { formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe runs compare ID ID…`. */
export async function runRunsCompare(
  { ids }: RunsCompareInvocation,
  { engine }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).compareRuns(ids);
  return { document, summary: () => summarize(document), notes: [] };
}

function summarize({ runs, figures }: RunsCompareResult): string[] {
  const columns = [
    { title: 'figure', align: 'left' } as const,
    ...runs.map(({ runId }) => ({ title: escapeLine(runId), align: 'right' }) as const),
    { title: 'cannot be compared', align: 'left' } as const,
  ];
  const facts = [
    ['command', ...runs.map(({ command }) => escapeLine(command))],
    ['model', ...runs.map(({ model }) => escapeLine(lastPart(model)))],
    ['state', ...runs.map(formatState)],
  ];
  const rows = figures.map((figure) => [
    escapeLine(figure.name),
    ...figure.values.map((value) => (value === null ? '-' : formatValue(figure.name, value))),
    figure.why ?? '',
  ]);
  return formatTable(columns, [...facts, ...rows]);
}

function formatValue(name: ComparedFigure['name'], value: number): string {
  if (/bytes$/i.test(name)) return formatBytes(value);
  if (/seconds$/i.test(name)) return formatSeconds(value);
  return Number.isInteger(value) ? formatCount(value) : value.toPrecision(6);
}

/** Whole paths would make columns too wide to compare. */
function lastPart(path: string): string {
  return path.replace(/^.*[/\\](?=[^/\\])/, '');
}
