import { JobError, WorkbenchError } from '../../core/errors.ts';
import { quoteForShell } from './quote-for-shell.ts';

/** The engine does not know how it was called; what goes on with the run is the same command with `--resume`. */
export function sayHowToResume(error: unknown, argv: readonly string[]): unknown {
  if (!(error instanceof WorkbenchError) || error.code !== 'JOB_INTERRUPTED') return error;
  const words = argv.includes('--resume') ? argv : [...argv, '--resume'];
  const { code, what, where, retryable } = error;
  const whatToDo = `Go on with: lathe ${words.map(quoteForShell).join(' ')}`;
  return new JobError({ code, what, where, whatToDo, retryable, cause: error });
}
