import { ModelError } from '../errors.ts';
import { isIndexField } from '../formats/dfloat11/unit-fields.ts';
import type { Dtype } from '../formats/safetensors/dtypes.ts';
import type { SafetensorsHeader } from '../formats/safetensors/safetensors-header.ts';
import type { SplitPlaneEntry, SplitPlaneHeader } from '../formats/split-plane/split-plane-header.ts';
import { elementCount } from '../formats/safetensors/tensor-size.ts';
import { quoted } from '../quoted.ts';
import { mapBounded } from './bounded-map.ts';
import type { FileAccess } from './file-access.ts';
import { openGguf, type GgufModel } from './gguf-model.ts';
import { architectureOf, EMBEDDING_PAIRS, hasTiedEmbeddings } from './model-config.ts';
import type { ModelFacts } from './model-facts.ts';
import type { FolderFile } from './model-folder.ts';
import { newHeaderBudget, readSafetensorsHeader, readSplitPlaneHeader } from './read-model-headers.ts';
import { selectModelFiles, type ModelFiles } from './select-model-files.ts';

/** Headers read at a time: enough to hide the latency of a network disk. */
const HEADERS_AT_ONCE = 8;

/** A tensor of a safetensors file, by position: its bytes never come here. */
export interface ModelTensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Relative to the root, parts joined by `/`. */
  file: string;
  offsetBytes: number;
  sizeBytes: number;
}

export interface WeightFile extends FolderFile {
  header: SafetensorsHeader;
}

export interface SplitPlaneFile extends FolderFile {
  header: SplitPlaneHeader;
}

/** A model in safetensors files; in a DFloat11 folder the tensors are the stored ones, `readDfloat11Folder` has the logical. */
export interface SafetensorsModel extends ModelFacts {
  kind: 'safetensors' | 'dfloat11';
  /** Sorted by path. */
  weightFiles: WeightFile[];
  /** In the order of the files and of their headers. */
  tensors: ModelTensor[];
}

export interface SplitPlaneModel extends ModelFacts {
  kind: 'split-plane';
  /** Sorted by path. */
  weightFiles: SplitPlaneFile[];
  /** In the order of the files and of their headers. */
  tensors: (SplitPlaneEntry & { file: string })[];
}

/** A model whose headers were read and found sound. */
export type OpenedModel = SafetensorsModel | SplitPlaneModel | GgufModel;

/**
 * Opens a model folder, one safetensors, `.splane` or GGUF file, or a shard index, by its headers alone.
 *
 * Of a folder, these are the weights: the shards of its index; else `model.safetensors`; else every safetensors file at
 * its top. In a DFloat11 folder every safetensors file at its top, as the official loader has it.
 * In a split-plane folder its `.splane` files; in one without any of these its GGUF file, if it has one.
 * @param unfinished whether the path may lie in the folder of an unfinished output: only the job that writes it says so
 * @throws ModelError MODEL_NOT_FOUND, MODEL_UNKNOWN_KIND, MODEL_PICKLE_REFUSED, MODEL_NOT_A_FILE,
 * MODEL_FILE_OUTSIDE_FOLDER, MODEL_INDEX_INVALID, MODEL_SHARD_MISSING, MODEL_TENSOR_MISSING, MODEL_DUPLICATE_TENSOR,
 * MODEL_CONFIG_INVALID; FormatError as `readHeaderLength`, `parseSafetensorsHeader`, `parseSplitPlaneHeader` and
 * `readGgufHeader`; what `access` throws
 * Cost: reads the headers, the index and config.json; lists the folder tree.
 */
export async function openModel(
  path: string,
  access: FileAccess,
  { unfinished = false }: { unfinished?: boolean } = {},
): Promise<OpenedModel> {
  const chosen = await selectModelFiles(path, access, unfinished);
  switch (chosen.kind) {
    case 'split-plane':
      return openSplitPlane(chosen, access);
    case 'gguf':
      return openGguf(chosen, access);
    case 'safetensors':
    case 'dfloat11':
      return openSafetensors(chosen, access);
  }
}

async function openSafetensors(chosen: ModelFiles, access: FileAccess): Promise<SafetensorsModel> {
  const budget = newHeaderBudget();
  const weightFiles = await mapBounded(chosen.weights, HEADERS_AT_ONCE, async (file): Promise<WeightFile> => {
    return { ...file, header: await readSafetensorsHeader(chosen.root, file, access, budget) };
  });
  const tensors = weightFiles.flatMap((file) => file.header.tensors.map((tensor) => ({ ...tensor, file: file.path })));
  const facts = factsOf(chosen, tensors);
  const hasUnits = chosen.kind === 'dfloat11' || tensors.some(({ name }) => name.endsWith('.encoded_exponent'));
  return { ...facts, kind: hasUnits ? 'dfloat11' : 'safetensors', weightFiles, tensors };
}

async function openSplitPlane(chosen: ModelFiles, access: FileAccess): Promise<SplitPlaneModel> {
  const budget = newHeaderBudget();
  const weightFiles = await mapBounded(chosen.weights, HEADERS_AT_ONCE, async (file): Promise<SplitPlaneFile> => {
    return { ...file, header: await readSplitPlaneHeader(chosen.root, file, access, budget) };
  });
  const tensors = weightFiles.flatMap((file) => file.header.tensors.map((tensor) => ({ ...tensor, file: file.path })));
  // A source kept whole has no tensors that could be counted or repeated.
  const known = tensors.filter(({ dtype }) => dtype !== 'RAW');
  return { ...factsOf(chosen, known), kind: 'split-plane', weightFiles, tensors };
}

interface NamedTensor {
  name: string;
  shape: number[];
  file: string;
}

function factsOf(chosen: ModelFiles, tensors: readonly NamedTensor[]): ModelFacts {
  const fileOf = mapFiles(tensors);
  const names = new Set(fileOf.keys());
  const { root, openedAs, config, configText, otherFiles, emptyFolders } = chosen;
  const tiedEmbeddings = hasTiedEmbeddings(config, names);
  return {
    root,
    openedAs,
    otherFiles,
    emptyFolders,
    indexFile: chosen.index?.path ?? null,
    config,
    configText,
    architecture: architectureOf(config),
    tiedEmbeddings,
    parameters: countParameters(tensors, names, tiedEmbeddings),
    notes: [...chosen.notes, ...checkIndex(chosen, fileOf)],
  };
}

/** The file of each tensor. */
function mapFiles(tensors: readonly NamedTensor[]): Map<string, string> {
  const fileOf = new Map<string, string>();
  for (const { name, file } of tensors) {
    const first = fileOf.get(name);
    if (first !== undefined) {
      throw new ModelError({
        code: 'MODEL_DUPLICATE_TENSOR',
        what: `Tensor ${quoted(name)} is stored in ${quoted(first)} and again in ${quoted(file)}.`,
        where: { file, tensor: name },
        whatToDo: 'Keep the files of one model only in this folder, or name its index file.',
      });
    }
    fileOf.set(name, file);
  }
  return fileOf;
}

/** Every tensor that the index names is where it says. Tensors it does not name are kept, as loaders do, with a note. */
function checkIndex(chosen: ModelFiles, fileOf: ReadonlyMap<string, string>): string[] {
  if (!chosen.index) return [];
  const { path, weightMap } = chosen.index;
  for (const [tensor, shard] of weightMap) {
    if (fileOf.get(tensor) !== shard) {
      throw new ModelError({
        code: 'MODEL_TENSOR_MISSING',
        what: `${quoted(path)} puts tensor ${quoted(tensor)} into ${quoted(shard)}, but that file does not hold it.`,
        where: { file: shard, tensor },
        whatToDo: 'Download the index and all its shards again, from one revision.',
      });
    }
  }
  const unnamed = [...fileOf.keys()].filter((name) => !weightMap.has(name));
  const first = unnamed[0];
  if (first === undefined) return [];
  return [
    `${unnamed.length} stored tensors are not named by ${quoted(path)}, the first is ${quoted(first)}; they are kept.`,
  ];
}

function countParameters(tensors: readonly NamedTensor[], names: ReadonlySet<string>, isTied: boolean): number {
  const tiedHeads = EMBEDDING_PAIRS.filter(([embedding]) => isTied && names.has(`${embedding}.weight`));
  const repeated = new Set(tiedHeads.map(([, head]) => `${head}.weight`));
  let parameters = 0;
  for (const { name, shape } of tensors) {
    if (!repeated.has(name) && !isIndexField(name, names)) parameters += elementCount(shape) ?? 0;
  }
  return parameters;
}
