import type { LatheFile } from '../../core/contract/lathe-file.ts';
import { ModelError } from '../../core/errors.ts';
import { openModel, type OpenedModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/**
 * Opens a compressed folder or file, with the `lathe.json` that lies in it.
 *
 * @throws ModelError MODEL_NOT_COMPRESSED, MODEL_SHARD_MISSING (a file that `lathe.json` names), MODEL_CONFIG_INVALID (one
 * that tells another kind of folder); FormatError FORMAT_LATHE_JSON_INVALID; as `openModel`
 */
export async function openCompressed(path: string): Promise<{ model: OpenedModel; lathe: LatheFile | null }> {
  const facts = await nodeFileAccess.stat(path);
  const lathe = facts?.kind === 'folder' ? await readLatheFile(path) : null;
  const model = await openModel(path, nodeFileAccess);
  if (model.kind !== 'safetensors') return { model, lathe };
  // Without its config a DFloat11 folder looks like any other.
  for (const file of lathe?.output.files ?? []) {
    if ((await nodeFileAccess.stat(`${model.root}/${file.path}`)) === null) throw missingFile(file.path);
  }
  if (lathe) throw changedKind(lathe.method);
  throw new ModelError({
    code: 'MODEL_NOT_COMPRESSED',
    what: `${quoted(path)} is a plain safetensors model.`,
    where: { file: path },
    whatToDo: 'Name a folder that was compressed.',
  });
}

/** A folder with a `lathe.json` and all its files is a compressed one, unless what tells its kind was changed. */
function changedKind(method: string): ModelError {
  return new ModelError({
    code: 'MODEL_CONFIG_INVALID',
    what: `"lathe.json" says that this is a ${method} folder, but its "config.json" does not: it was changed.`,
    where: { file: 'config.json' },
    whatToDo: 'Get config.json, or the whole folder, again.',
  });
}

/** For a file that the folder's `lathe.json` names. */
export function missingFile(file: string): ModelError {
  return new ModelError({
    code: 'MODEL_SHARD_MISSING',
    what: `"lathe.json" names ${quoted(file)}, which is not in the folder.`,
    where: { file },
    whatToDo: 'Get the missing file, or the whole folder, again.',
  });
}
