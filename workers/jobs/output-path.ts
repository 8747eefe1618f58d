import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { JobError, UsageError } from '../../core/errors.ts';
import { PARTIAL_ENDING } from '../../core/model/file-kinds.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/**
 * The absolute path of an output, after the check that writing it cannot touch the input.
 *
 * @throws UsageError USAGE_OUTPUT_IS_INPUT, USAGE_INVALID_ARGUMENT; JobError JOB_OUTPUT_EXISTS for a file
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
  const relation = relationTo(output, input);
  if (relation !== null) {
    throw new UsageError({
      code: 'USAGE_OUTPUT_IS_INPUT',
      what: `The output "${output}" ${relation}.`,
      where: { file: output },
      whatToDo: 'Choose an output elsewhere.',
    });
  }
  for (const [folder, meaning] of [
    [homedir(), "the user's home"],
    [process.cwd(), 'the current folder'],
  ] as const) {
    // With --force an output replaces what is there.
    if (isWithin(folder, output)) {
      throw new UsageError({
        code: 'USAGE_INVALID_ARGUMENT',
        what: `"${given}" cannot be an output: it is ${meaning}, or a folder around it.`,
        whatToDo: 'Choose a folder of its own.',
      });
    }
  }
  if (await isFile(output)) {
    throw new JobError({
      code: 'JOB_OUTPUT_EXISTS',
      what: `The output "${output}" exists and is a file; --force replaces folders only.`,
      where: { file: output },
      whatToDo: 'Choose another output.',
    });
  }
  return output;
}

/** How an output would touch the input's files; null if it would not. */
function relationTo(
  output: string,
  { openedAs, root, weightFiles, otherFiles, indexFile }: OpenedModel,
): string | null {
  if (output === root) return 'is the input, or its folder';
  // Replacing a folder would take what lies in it along.
  if (isWithin(root, output)) return `is a folder around the input "${root}"`;
  if (openedAs === 'folder') return isWithin(output, root) ? `lies in the input "${root}"` : null;
  const files = [...weightFiles, ...otherFiles].map(({ path }) => path);
  if (indexFile !== null) files.push(indexFile);
  const touched = files.find((path) => isWithin(join(root, path), output) || isWithin(output, join(root, path)));
  return touched === undefined ? null : `is the input's file "${touched}", or a folder around it`;
}

/** Whether a path is a folder or lies in it. */
function isWithin(path: string, folder: string): boolean {
  return `${path}${sep}`.startsWith(`${folder}${sep}`);
}

async function isFile(path: string): Promise<boolean> {
  return (await nodeFileAccess.stat(path))?.kind === 'file';
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
