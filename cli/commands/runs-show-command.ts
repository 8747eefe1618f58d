import type { RunDetails } from '../../core/contract/runs-result.ts';
import { formatBytes, formatCount } from '../../core/units.ts';
import type { RunsShowInvocation } from '../invocation.ts';
import { escapeLine, escapeText, toSafeJson } from '../output/escape-text.ts';
import { formatDuration, formatMainFigure, formatState, formatTime } from '../output/run-summary.ts';
import { formatPairs } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe runs show ID`. */
export async function runRunsShow({ id }: RunsShowInvocation, { engine }: CommandContext): Promise<CommandOutcome> {
  const document = await (await engine()).showRun(id);
  return { document, summary: () => summarizeRun(document.run), notes: [] };
}

/** All that is known of a run, for people. */
export function summarizeRun(run: RunDetails): string[] {
  const { threads, memoryLimitBytes, items, itemsDone, damagedLines } = run;
  const of = items === null ? '' : ` of ${formatCount(items)}`;
  const pairs: [string, string][] = [
    ['Run', escapeLine(run.runId)],
    ['Command', escapeLine(run.command)],
    ['State', formatState(run)],
    ['Model', escapeLine(run.model)],
    ['Output', run.output === null ? 'none' : escapeLine(run.output)],
    ['Began', formatTime(run.startedAt)],
    ...run.resumedAt.map((at): [string, string] => ['Went on', formatTime(at)]),
    ['Ended', run.endedAt === null ? '-' : formatTime(run.endedAt)],
    ['Time', formatDuration(run.seconds)],
    ['Done', `${formatCount(itemsDone)}${of} items`],
    ['Result', escapeLine(formatMainFigure(run))],
    ...(run.figures === null ? [] : [['Peak memory', formatBytes(run.figures.peakRssBytes)] as [string, string]]),
    ['Program', `Lathe ${escapeLine(run.version)}${run.host === null ? '' : ` on ${escapeLine(run.host)}`}`],
    ['Threads', threads === null ? '-' : formatCount(threads)],
    ['Memory limit', memoryLimitBytes === null ? 'none' : formatBytes(memoryLimitBytes)],
    ['Journal', escapeLine(run.journal)],
    ['Log', escapeLine(run.log)],
  ];
  if (damagedLines > 0) pairs.push(['Damaged', `${formatCount(damagedLines)} lines of the journal`]);
  return [...formatPairs(pairs), ...optionLines(run), ...stageLines(run), ...errorLines(run)];
}

function optionLines({ options }: RunDetails): string[] {
  if (options === null) return [];
  const pairs = Object.entries(options).map(([key, value]): [string, string] => [
    `  ${escapeLine(key)}`,
    escapeLine(typeof value === 'string' ? value : toSafeJson(value)),
  ]);
  return ['', 'Options:', ...formatPairs(pairs)];
}

function stageLines({ stages }: RunDetails): string[] {
  if (stages.length === 0) return [];
  const pairs = stages.map(({ stage, at }): [string, string] => [`  ${escapeLine(stage)}`, escapeLine(at)]);
  return ['', 'Stages:', ...formatPairs(pairs)];
}

function errorLines({ error }: RunDetails): string[] {
  if (error === null) return [];
  const { code, what, where, whatToDo, stack } = error;
  return [
    '',
    'Failed:',
    `  ${escapeLine(what)}`,
    `  ${escapeLine(whatToDo)}`,
    `  code: ${escapeLine(code)}`,
    ...(Object.keys(where).length === 0 ? [] : [`  where: ${toSafeJson(where)}`]),
    ...(stack === undefined
      ? []
      : escapeText(stack)
          .split('\n')
          .map((line) => `    ${line}`)),
  ];
}
