import { ModelError, WorkbenchError } from '../errors.ts';
import { readGgufHeader, type GgufHeader } from '../formats/gguf/gguf-header.ts';
import type { GgufTensor } from '../formats/gguf/gguf-tensors.ts';
import { quoted } from '../quoted.ts';
import type { FileAccess } from './file-access.ts';
import { configFromGguf, CONFIG_TABLES } from './gguf-config.ts';
import { GGUF_FAMILIES, isGgufArchitecture } from './gguf-families.ts';
import { GgufFields } from './gguf-fields.ts';
import { ggufPlace, type GgufPlace } from './gguf-names.ts';
import type { RotaryTables } from './gguf-rotary.ts';
import { architectureOf, type JsonObject } from './model-config.ts';
import type { ModelFacts } from './model-facts.ts';
import type { FolderFile } from './model-folder.ts';
import type { GgufFiles } from './select-model-files.ts';

export interface GgufWeightFile extends FolderFile {
  header: GgufHeader;
}

export interface GgufModelTensor extends GgufTensor {
  /** Relative to the root. */
  file: string;
  /** Null where it has no Hugging Face name, or stands for a part of the config. */
  place: GgufPlace | null;
}

/** A GGUF file: its tensors under their own names, and where they stand in the Hugging Face model. */
export interface GgufModel extends ModelFacts {
  kind: 'gguf';
  openedAs: 'file' | 'folder';
  weightFiles: [GgufWeightFile];
  /** In the order of the file. */
  tensors: GgufModelTensor[];
  /** Every key of the file. */
  fields: GgufFields;
  /** Why there is no config and no Hugging Face name; null if there is. */
  problem: WorkbenchError | null;
}

/** Rotary tables have half a head's size. */
const MAX_TABLE_ELEMENTS = 4096;

/**
 * Opens a GGUF file by its header. What its architecture's names and config are is found out too; a file of which that is
 * not known opens all the same, with `problem` saying so.
 *
 * @throws FormatError as `readGgufHeader`; ModelError MODEL_UNKNOWN_KIND for one part of a split file; what `access` throws
 */
export async function openGguf({ root, weight: file, folder }: GgufFiles, access: FileAccess): Promise<GgufModel> {
  const path = `${root}/${file.path}`;
  const header = await readGgufHeader({ path, file: file.path, sizeBytes: file.sizeBytes }, access);
  const fields = new GgufFields(header.metadata, file.path);
  refuseParts(fields, file.path);
  const { places, config, problem } = await canonicalSide(header, fields, file, root, access);
  const tensors = header.tensors.map((tensor) => ({
    ...tensor,
    file: file.path,
    place: places.get(tensor.name) ?? null,
  }));
  const named = fields.entry('general.architecture')?.value;
  return {
    kind: 'gguf',
    root,
    openedAs: folder === null ? 'file' : 'folder',
    otherFiles: folder?.otherFiles ?? [],
    emptyFolders: folder?.emptyFolders ?? [],
    indexFile: null,
    config,
    configText: null,
    architecture: architectureOf(config) ?? (typeof named === 'string' ? named : null),
    tiedEmbeddings: !header.tensors.some(({ name }) => name === 'output.weight'),
    parameters: header.tensors
      .filter(({ name }) => !CONFIG_TABLES.includes(name))
      .reduce((sum, { elements }) => sum + elements, 0),
    notes: notesOf(header, problem),
    weightFiles: [{ ...file, header }],
    tensors,
    fields,
    problem,
  };
}

/**
 * The config of a GGUF file that is to be run or restored.
 *
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN, MODEL_CONFIG_INVALID; FormatError FORMAT_SHAPE_MISMATCH
 */
export function requireGgufConfig({ config, problem, weightFiles: [file] }: GgufModel): JsonObject {
  if (problem) throw problem;
  if (config) return config;
  throw unknownArchitecture(null, file.path);
}

interface CanonicalSide {
  places: ReadonlyMap<string, GgufPlace>;
  config: JsonObject | null;
  problem: WorkbenchError | null;
}

async function canonicalSide(
  header: GgufHeader,
  fields: GgufFields,
  file: FolderFile,
  root: string,
  access: FileAccess,
): Promise<CanonicalSide> {
  try {
    const architecture = fields.optionalText('general.architecture');
    if (architecture === null || !isGgufArchitecture(architecture)) throw unknownArchitecture(architecture, file.path);
    const shapes = new Map(header.tensors.map(({ name, shape }) => [name, shape]));
    const tables = await readTables(header, `${root}/${file.path}`, access);
    const config = configFromGguf(fields, { architecture, shapes, tables });
    const keys = fields.under(`${architecture}.`);
    const heads = keys.whole('attention.head_count');
    const counts = { attn_q: heads, attn_k: keys.optionalWhole('attention.head_count_kv') ?? heads };
    const places = new Map<string, GgufPlace>();
    for (const { name, shape } of header.tensors) {
      const place = ggufPlace(name, shape, GGUF_FAMILIES[architecture], counts, file.path);
      if (place) places.set(name, place);
    }
    return { places, config, problem: null };
  } catch (error) {
    // A file that cannot be turned into a Hugging Face model can still be looked at.
    if (error instanceof ModelError || (error instanceof WorkbenchError && error.code === 'FORMAT_SHAPE_MISMATCH')) {
      return { places: new Map(), config: null, problem: error };
    }
    throw error;
  }
}

async function readTables(header: GgufHeader, path: string, access: FileAccess): Promise<RotaryTables> {
  const tables = new Map<string, Float32Array>();
  for (const { name, type, elements, offsetBytes, sizeBytes } of header.tensors) {
    if (!CONFIG_TABLES.includes(name) || type !== 'F32' || elements > MAX_TABLE_ELEMENTS) continue;
    const bytes = await access.read(path, offsetBytes, sizeBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    tables.set(
      name,
      Float32Array.from({ length: elements }, (_, index) => view.getFloat32(4 * index, true)),
    );
  }
  return tables;
}

function refuseParts(fields: GgufFields, file: string): void {
  const parts = fields.entry('split.count')?.value;
  if (typeof parts !== 'number' || parts <= 1) return;
  const number = fields.entry('split.no')?.value;
  const which = typeof number === 'number' ? `part ${number + 1}` : 'a part';
  throw new ModelError({
    code: 'MODEL_UNKNOWN_KIND',
    what: `${quoted(file)} is ${which} of a GGUF model in ${parts} files.`,
    where: { file },
    whatToDo: 'Join the parts with "llama-gguf-split --merge", and name the result.',
  });
}

function notesOf({ trailingBytes }: GgufHeader, problem: WorkbenchError | null): string[] {
  const notes: string[] = [];
  if (trailingBytes > 0) notes.push(`${trailingBytes} bytes at the end of the file belong to no tensor.`);
  if (problem) notes.push(`This file can be inspected, but not restored or evaluated. ${problem.what}`);
  return notes;
}

function unknownArchitecture(found: string | null, file: string): ModelError {
  const known = Object.keys(GGUF_FAMILIES).join(', ');
  const what =
    found === null
      ? `${quoted(file)} does not tell the architecture of its model`
      : `${quoted(file)} is of the architecture ${quoted(found)}, which has no Hugging Face names here`;
  return new ModelError({
    code: 'MODEL_ARCHITECTURE_UNKNOWN',
    what: `${what}; known are ${known}.`,
    where: { file },
    whatToDo: 'Use "lathe inspect", which works for every architecture.',
  });
}
