import { expect, test } from 'vitest';
import { sayHowToResume } from '../../../../cli/commands/say-how-to-resume.ts';
import { JobError } from '../../../../core/errors.ts';

function advice(...argv: string[]): string {
  const error = new JobError({ code: 'JOB_INTERRUPTED', what: 'It was stopped.', whatToDo: 'Go on.' });
  return (sayHowToResume(error, argv) as JobError).whatToDo;
}

test('the advice is the same command with --resume, before what is no flag any more', () => {
  expect(advice('compress', 'm', '-o', 'o')).toBe('Go on with: lathe compress m -o o --resume');
  expect(advice('compress', '-o', 'o', '--', '-m')).toBe('Go on with: lathe compress -o o --resume -- -m');
  expect(advice('compress', '--resume', '-o', 'o', '--', 'm')).toBe('Go on with: lathe compress --resume -o o -- m');
  expect(advice('compress', '-o', 'o', '--', '--resume')).toBe('Go on with: lathe compress -o o --resume -- --resume');
});
