import { JobError, WorkbenchError } from '../../core/errors.ts';
import { quoteForShell } from './quote-for-shell.ts';

/** The engine does not know how it was called; what goes on with the run is the same command with `--resume`. */
export function sayHowToResume(error: unknown, argv: readonly string[]): unknown {
  if (!(error instanceof WorkbenchError) || error.code !== 'JOB_INTERRUPTED') return error;
  // After `--` nothing is a flag.
  const dashes = argv.indexOf('--');
  const [flags, rest] = dashes < 0 ? [argv, []] : [argv.slice(0, dashes), argv.slice(dashes)];
  const words = flags.includes('--resume') ? argv : [...flags, '--resume', ...rest];
  const { code, what, where, retryable } = error;
  const whatToDo = `Go on with: lathe ${words.map(quoteForShell).join(' ')}`;
  return new JobError({ code, what, where, whatToDo, retryable, cause: error });
}
