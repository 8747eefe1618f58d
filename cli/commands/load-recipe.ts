import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { MAX_RECIPE_BYTES, parseRecipe } from '../../core/contract/parse-recipe.ts';
import { PRESETS } from '../../core/contract/presets.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import { ResourceError, UsageError, type ErrorCode } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { formatAlternatives, invalidArgument } from '../flag-values.ts';
import type { RecipeChoice } from '../invocation.ts';

/**
 * Reads and checks the recipe that was chosen.
 *
 * @throws UsageError RECIPE_NOT_FOUND, USAGE_INVALID_ARGUMENT (no such preset), and those of `parseRecipe`
 * @throws ResourceError FILE_PERMISSION_DENIED, FILE_IO
 */
export async function loadRecipe(choice: RecipeChoice): Promise<Recipe> {
  if (choice.kind === 'file') return parseRecipe(await readRecipeText(choice.path), choice.path);
  const text = PRESETS.get(choice.name);
  if (text === undefined) {
    throw invalidArgument(
      `"${choice.name}" is not a preset.`,
      `Write --preset ${formatAlternatives([...PRESETS.keys()])}.`,
    );
  }
  return parseRecipe(text, `preset ${choice.name}`);
}

async function readRecipeText(path: string): Promise<string> {
  const bytes = await readStart(path, MAX_RECIPE_BYTES + 1).catch((error: unknown) => {
    throw toRecipeFileError(error, path);
  });
  if (bytes.length > MAX_RECIPE_BYTES) {
    throw recipeError('RECIPE_SYNTAX', path, `has more than ${formatBytes(MAX_RECIPE_BYTES)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw recipeError('RECIPE_SYNTAX', path, 'is not UTF-8 text', cause);
  }
}

/** Pipes are refused, and opened without waiting for a writer: one that never comes would keep the process from ending. */
async function readStart(path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const facts = await file.stat();
    if (!facts.isFile() && !facts.isDirectory()) throw recipeError('RECIPE_NOT_FOUND', path, 'is not a regular file');
    const buffer = new Uint8Array(maxBytes);
    let length = 0;
    while (length < maxBytes) {
      const { bytesRead } = await file.read(buffer, length, maxBytes - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}

function recipeError(code: ErrorCode, path: string, why: string, cause?: unknown): UsageError {
  return new UsageError({
    code,
    what: `The recipe "${path}" ${why}.`,
    where: { file: path },
    whatToDo: 'Name a recipe file, YAML or JSON; "lathe schema recipe" says what is in one.',
    cause,
  });
}

/** What the system says of a file, as an expected error; anything else is passed on. */
function toRecipeFileError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return recipeError('RECIPE_NOT_FOUND', path, 'does not exist', error);
    case 'EISDIR':
      return recipeError('RECIPE_NOT_FOUND', path, 'is a folder, not a file', error);
    case 'EACCES':
    case 'EPERM':
      return new ResourceError({
        code: 'FILE_PERMISSION_DENIED',
        what: `The recipe "${path}" may not be read.`,
        where: { file: path },
        whatToDo: 'Give yourself the right to read it.',
        cause: error,
      });
    default:
      return new ResourceError({
        code: 'FILE_IO',
        what: `The recipe "${path}" could not be read: ${error.message}.`,
        where: { file: path },
        whatToDo: 'Check the path and the disk.',
        retryable: true,
        cause: error,
      });
  }
}
