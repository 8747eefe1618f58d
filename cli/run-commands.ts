import type { Command } from 'commander';
import { RUN_STATES, type RunState } from '../core/contract/runs-result.ts';
import { invalidArgument, parseChoice, parseCount } from './flag-values.ts';
import type { Invocation } from './invocation.ts';

/** `lathe runs list | show | compare | clean`, and `lathe resume`. */
export function defineRunCommands(
  program: Command,
  onParsed: (invocation: Invocation) => void,
  isDryRun: () => boolean,
): void {
  const runs = program.command('runs').description('past runs and their journals: list, show, compare, clean');
  runs
    .command('list')
    .description('list runs, newest first')
    .option('--limit <n>', 'at most so many (default: all)', (text) => parseCount(text, '--limit', 1))
    .option('--state <state>', `only those that are ${RUN_STATES.join(', ')}`, (text) =>
      parseChoice(text, '--state', RUN_STATES),
    )
    .action(({ limit, state }: { limit?: number; state?: RunState }) => {
      onParsed({ command: 'runs-list', limit: limit ?? null, state: state ?? null });
    });
  runs
    .command('show')
    .description('show all that is known of a run: options, stages, figures, how it ended')
    .argument('<id>', 'of the run, or its first characters')
    .action((id: string) => onParsed({ command: 'runs-show', id }));
  runs
    .command('compare')
    .description('compare the figures of runs side by side, and say which can be compared')
    .argument('<id...>', 'of two runs or more')
    .action((ids: string[]) => {
      if (ids.length < 2) throw invalidArgument('One run was named.', 'Name two runs or more.');
      onParsed({ command: 'runs-compare', ids });
    });
  runs
    .command('clean')
    .description('remove past runs that ended and cannot go on; by their IDs also others. Outputs stay')
    .argument('[id...]', 'these and no others')
    .option('--keep <n>', 'keep the newest n', (text) => parseCount(text, '--keep', 0))
    .option('--older-than <days>', 'remove those that began so many days ago', (text) =>
      parseCount(text, '--older-than', 0),
    )
    .action((ids: string[], { keep, olderThan }: { keep?: number; olderThan?: number }) => {
      if (ids.length > 0 && (keep !== undefined || olderThan !== undefined)) {
        throw invalidArgument('Both runs and a rule were given.', 'Name the runs, or write --keep or --older-than.');
      }
      onParsed({
        command: 'runs-clean',
        ids,
        keep: keep ?? null,
        olderThanDays: olderThan ?? null,
        dryRun: isDryRun(),
      });
    });
  program
    .command('resume')
    .description('go on with an interrupted compress or evaluate, from any folder')
    .argument('<id>', 'of the run, or its first characters')
    .action((id: string) => onParsed({ command: 'resume', id }));
}
