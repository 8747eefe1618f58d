import { ModelError } from '../../errors.ts';
import { isPickleName, isSafetensorsName } from '../../model/file-kinds.ts';
import { quoted } from '../../quoted.ts';
import { isPlainRelativePath } from '../../relative-path.ts';
import { parseStrictJson } from '../strict-json.ts';

/** The largest published index, of a model with 190,000 tensors, has 16 MB. */
export const MAX_SHARD_INDEX_BYTES = 100 * 1024 * 1024;
/** About 200,000 tensors are in the largest published models. */
const MAX_TENSORS = 1 << 20;

/** A `*.safetensors.index.json`: which tensor lies in which file. */
export interface ShardIndex {
  weightMap: Map<string, string>;
  /** Every file once, sorted; plain relative paths, from the index's folder. */
  shards: string[];
}

/**
 * Reads a shard index. `metadata` is not looked at: published values of `total_size` are often wrong.
 *
 * Source: Hugging Face Transformers, `save_pretrained`: `{"metadata": {"total_size"}, "weight_map": {tensor: file}}`.
 * @param json the whole file
 * @throws ModelError MODEL_INDEX_INVALID, MODEL_FILE_OUTSIDE_FOLDER, MODEL_PICKLE_REFUSED; FormatError
 * FORMAT_DUPLICATE_KEY, FORMAT_HEADER_INVALID, FORMAT_HEADER_TOO_DEEP, FORMAT_HEADER_TOO_LARGE
 */
export function parseShardIndex(json: Uint8Array, file: string): ShardIndex {
  const { value } = parseStrictJson(json, {
    file,
    offsetBytes: 0,
    limits: { maxDepth: 16, maxObjectMembers: MAX_TENSORS, maxArrayItems: MAX_TENSORS, wholeNumbersOnly: false },
    syntaxCode: 'MODEL_INDEX_INVALID',
    rootKeysAreTensors: false,
  });
  const map = value['weight_map'];
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw invalidIndex(file, undefined, 'has no "weight_map" object.');
  }
  const weightMap = new Map<string, string>();
  const shards = new Set<string>();
  for (const [tensor, shard] of Object.entries(map as Record<string, unknown>)) {
    if (typeof shard !== 'string')
      throw invalidIndex(file, tensor, `does not give tensor ${quoted(tensor)} a file name.`);
    if (!shards.has(shard)) checkShardName(shard, tensor, file);
    shards.add(shard);
    weightMap.set(tensor, shard);
  }
  if (weightMap.size === 0) throw invalidIndex(file, undefined, 'names no tensor in "weight_map".');
  return { weightMap, shards: [...shards].sort() };
}

function checkShardName(shard: string, tensor: string, file: string): void {
  if (!isPlainRelativePath(shard)) {
    throw new ModelError({
      code: 'MODEL_FILE_OUTSIDE_FOLDER',
      what: `${quoted(file)} puts tensor ${quoted(tensor)} into ${quoted(shard)}, expected a plain file name inside the folder.`,
      where: { file, tensor },
      whatToDo: 'Do not use this model: no known program writes such an index.',
    });
  }
  if (isPickleName(shard)) {
    throw new ModelError({
      code: 'MODEL_PICKLE_REFUSED',
      what: `${quoted(file)} puts tensor ${quoted(tensor)} into the pickle ${quoted(shard)}.`,
      where: { file, tensor },
      whatToDo: 'Convert the model to safetensors first: opening a pickle can run any program.',
    });
  }
  if (!isSafetensorsName(shard)) {
    throw invalidIndex(
      file,
      tensor,
      `puts tensor ${quoted(tensor)} into ${quoted(shard)}, which is no safetensors file.`,
    );
  }
}

function invalidIndex(file: string, tensor: string | undefined, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_INDEX_INVALID',
    what: `${quoted(file)} ${found}`,
    where: { file, tensor },
    whatToDo: 'Download this file again, or ask who made it.',
  });
}
