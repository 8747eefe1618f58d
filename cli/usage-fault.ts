import type { CommanderError } from 'commander';
import { UsageError } from '../core/errors.ts';
import { invalidArgument } from './flag-values.ts';

/** What commander says is in quotes after a fixed text, with its suggestion on a line of its own. */
const QUOTED = /'([\s\S]*?)'/;
const SUGGESTION = /\n\(Did you mean ([\s\S]*)\?\)$/;

/**
 * Commander's complaint in our own shape. What to do names the nearest flag or command where commander knows one.
 *
 * @param command the command that was asked for, if one was recognized
 * @param commands names of all commands
 */
export function toUsageError(fault: CommanderError, command: string | null, commands: readonly string[]): UsageError {
  const thing = QUOTED.exec(fault.message)?.[1] ?? '';
  const nearest = SUGGESTION.exec(fault.message)?.[1];
  const help = command === null ? 'lathe --help' : `lathe ${command} --help`;
  const suggestion = nearest === undefined ? `See "${help}".` : `Write ${nearest}, or see "${help}".`;
  switch (fault.code) {
    case 'commander.unknownOption': {
      const owner = command === null ? 'lathe' : `lathe ${command}`;
      return invalidArgument(`"${thing}" is not a flag of "${owner}".`, suggestion);
    }
    case 'commander.unknownCommand':
      return unknownCommand(thing, suggestion);
    case 'commander.help':
      return invalidArgument('No command was given.', `Write one of ${commands.join(', ')}; "lathe --help" says more.`);
    case 'commander.missingArgument':
      return invalidArgument(`The argument ${thing.toUpperCase()} is missing.`, suggestion);
    case 'commander.missingMandatoryOptionValue':
      return invalidArgument(`The flag "${thing}" is missing.`, suggestion);
    case 'commander.optionMissingArgument':
      return invalidArgument(`The flag "${thing}" has no value.`, suggestion);
    default:
      return invalidArgument(upperFirst(fault.message.replace(/^error: /, '').replaceAll("'", '"')), suggestion);
  }
}

export function unknownCommand(name: string, suggestion: string): UsageError {
  return new UsageError({
    code: 'USAGE_UNKNOWN_COMMAND',
    what: `"${name}" is not a command.`,
    whatToDo: suggestion,
  });
}

function upperFirst(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
