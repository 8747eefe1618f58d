import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { JobError, ResourceError, UsageError } from '../../core/errors.ts';
import { quoted } from '../../core/quoted.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/**
 * The absolute path of the tokens file, after every check that can be made before the figures are there: a folder to
 * write it into, nothing in its place but a file that may be replaced, and no input. A run that is gone on with may have
 * put its file there already: only its figures tell.
 *
 * @throws ResourceError FILE_NOT_FOUND, FILE_PERMISSION_DENIED; JobError JOB_OUTPUT_EXISTS; UsageError
 * USAGE_OUTPUT_IS_INPUT
 */
export async function tokensPath(given: string, options: EvaluateOptions): Promise<string> {
  const path = resolve(given);
  const folder = dirname(path);
  if ((await nodeFileAccess.stat(folder))?.kind !== 'folder') {
    throw new ResourceError({
      code: 'FILE_NOT_FOUND',
      what: `The folder ${quoted(folder)}, in which ${quoted(basename(path))} is to be written, does not exist.`,
      where: { file: folder },
      whatToDo: 'Make it first, or choose another place.',
    });
  }
  await wrapFileErrors('write into', folder, () => access(folder, constants.W_OK));
  const facts = await nodeFileAccess.stat(path);
  await refuseInputs(path, options);
  if (facts === null || (facts.kind === 'file' && (options.force || options.resume))) return path;
  const found = facts.kind === 'file' ? 'exists' : `is a ${facts.kind === 'folder' ? 'folder' : 'device or a pipe'}`;
  throw new JobError({
    code: 'JOB_OUTPUT_EXISTS',
    what: `The output ${quoted(path)} ${found}${facts.kind === 'file' ? '' : ', expected a file or nothing'}.`,
    where: { file: path },
    whatToDo: facts.kind === 'file' ? 'Choose another output, or replace it with --force.' : 'Choose another output.',
  });
}

async function refuseInputs(path: string, { model, reference, texts, choices }: EvaluateOptions): Promise<void> {
  const place = join(await realpath(dirname(path)), basename(path));
  const inputs = [model, reference, choices, ...texts].filter((input): input is string => input !== null);
  for (const input of inputs) {
    // What is not there is refused where it is opened.
    const real = await realpath(input).catch(() => null);
    if (real === null || !`${place}${sep}`.startsWith(`${real}${sep}`)) continue;
    throw new UsageError({
      code: 'USAGE_OUTPUT_IS_INPUT',
      what: `The output ${quoted(path)} is the input ${quoted(input)}, or lies in it.`,
      where: { file: path },
      whatToDo: 'Choose an output elsewhere.',
    });
  }
}
