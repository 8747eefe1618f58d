import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { UsageError } from '../../core/errors.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';

/**
 * The absolute path of an output, after the check that writing it cannot touch the input.
 *
 * @throws UsageError USAGE_OUTPUT_IS_INPUT, USAGE_INVALID_ARGUMENT
 */
export async function outputPath(given: string, input: OpenedModel): Promise<string> {
  const output = await withoutLinks(resolve(given));
  if (output.split(sep).some((part) => part.endsWith(PARTIAL_ENDING)) || basename(output) === '') {
    throw new UsageError({
      code: 'USAGE_INVALID_ARGUMENT',
      what: `"${given}" cannot be an output: it is ${basename(output) === '' ? 'the root of the file system' : 'the place of an unfinished one'}.`,
      whatToDo: 'Choose another folder.',
    });
  }
  const isInside = input.openedAs === 'folder' && `${output}${sep}`.startsWith(`${input.root}${sep}`);
  // Replacing a folder would take what lies in it along.
  const isAround = `${input.root}${sep}`.startsWith(`${output}${sep}`);
  if (isInside || isAround) {
    throw new UsageError({
      code: 'USAGE_OUTPUT_IS_INPUT',
      what: `The output "${output}" ${output === input.root ? 'is the input' : isInside ? 'lies in the input' : 'is a folder around the input'} "${input.root}".`,
      where: { file: output },
      whatToDo: 'Choose an output elsewhere.',
    });
  }
  return output;
}

/** Follows the links of the part of a path that exists. */
async function withoutLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const parent = dirname(path);
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing || parent === path) return path;
    return join(await withoutLinks(parent), basename(path));
  }
}
