import { ModelError } from '../../errors.ts';
import { ggmlTypeNamed, isPlainType } from '../../formats/gguf/ggml-types.ts';
import { newGgufFile, type GgufValue, type NewGgufFile } from '../../formats/gguf/gguf-writer.ts';
import type { GgmlTensor, GgmlType } from '../../kernels/kernels.ts';
import type { WeightSource } from '../../kernels/quantize-kernels.ts';
import { ggufKeysOf, type GgufModelKeys } from '../../model/gguf-export-config.ts';
import { ggufNameOf, type GgufName } from '../../model/gguf-export-names.ts';
import { GGUF_FAMILIES, ROTARY_TABLES } from '../../model/gguf-families.ts';
import { hasTiedEmbeddings } from '../../model/model-config.ts';
import type { ModelTensor, SafetensorsModel } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import type { ChosenType, MixFacts } from './gguf-types.ts';

/** A tensor of the model, with its place in the file. */
export interface GgufCandidate extends GgufName {
  canonicalName: string;
  shape: readonly number[];
  elements: number;
  source: WeightSource;
  /** How rows of the source become Hugging Face's, where it is a GGUF file; else they are. */
  stored?: Pick<GgmlTensor, 'order' | 'heads' | 'add'>;
}

/** Everything of a new file but the types of its tensors. */
export interface GgufLayout {
  keys: GgufModelKeys;
  facts: Omit<MixFacts, 'hasImportance'>;
  tensors: readonly GgufCandidate[];
}

/** A tensor of the new file. */
export interface GgufExportTensor {
  canonicalName: string;
  name: string;
  shape: readonly number[];
  elements: number;
  type: GgmlType;
  /** What was asked for, where its blocks do not fit the rows; else null. */
  insteadOf: GgmlType | null;
  /** Whether it is a matrix of a block. */
  isBlockMatrix: boolean;
  source: WeightSource;
  sizeBytes: number;
  /** Blocks of the source that are taken over as they are. */
  isCopy: boolean;
}

export interface GgufExportPlan {
  tensors: GgufExportTensor[];
  /** Tables that are not weights: their bytes, by name, after the tensors. */
  tables: { name: string; bytes: Uint8Array }[];
  /** Offsets of the tensors, then of the tables. */
  file: NewGgufFile;
  notes: string[];
}

export interface GgufExportOptions {
  /** What a tensor becomes. */
  choose: (tensor: GgufCandidate) => ChosenType;
  /** `general.file_type`; null: none. */
  fileType: number | null;
  /** For people: `general.name`. */
  name: string;
  /** Of the tokenizer; null: none. */
  tokenizer: ReadonlyMap<string, GgufValue> | null;
}

const PLAIN_DTYPES = ['BF16', 'F16', 'F32'] as const;
/** Buffers of old checkpoints, which nobody reads. */
const IGNORED = /\.rotary_emb\.inv_freq$/;
const QUANTIZATION_VERSION = 2;

/**
 * Where each tensor of a model goes in a GGUF file.
 *
 * @param model plain safetensors
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN, MODEL_CONFIG_INVALID, MODEL_TENSOR_UNEXPECTED, MODEL_DTYPE_UNSUPPORTED
 */
export function layOutGguf(model: SafetensorsModel): GgufLayout {
  const keys = ggufKeysOf(model.config ?? {});
  const names = new Set(model.tensors.map((tensor) => tensor.name));
  const isTied = hasTiedEmbeddings(model.config, names);
  const tensors = model.tensors
    .filter((tensor) => !IGNORED.test(tensor.name) && !(isTied && tensor.name === 'lm_head.weight'))
    .map((tensor): GgufCandidate => {
      const place = ggufNameOf(tensor.name, keys.architecture);
      if (place === null) throw unexpected(tensor, keys);
      return {
        ...place,
        canonicalName: tensor.name,
        shape: tensor.shape,
        elements: tensor.shape.reduce((product, dimension) => product * dimension, 1),
        source: sourceOf(tensor, place, keys, model.root),
      };
    });
  return {
    keys,
    facts: { layers: keys.layers, isTied, queriesPerKey: keys.heads.attn_q / keys.heads.attn_k },
    tensors,
  };
}

/** What the GGUF file of a model will hold, to the byte. */
export function planGgufExport({ keys, tensors: candidates }: GgufLayout, options: GgufExportOptions): GgufExportPlan {
  const { choose, fileType, name, tokenizer } = options;
  const tensors = candidates.map((candidate): GgufExportTensor => {
    const { canonicalName, shape, elements, layer, source } = candidate;
    const { type, insteadOf } = choose(candidate);
    const isBlockMatrix = layer !== null && shape.length > 1;
    const sizeBytes = storedBytesOf(elements, type);
    // Weights that have their blocks already are not quantized a second time.
    const isCopy = type === source.type && !isPlainType(type);
    return {
      canonicalName,
      name: candidate.name,
      shape,
      elements,
      type,
      insteadOf,
      isBlockMatrix,
      source,
      sizeBytes,
      isCopy,
    };
  });
  const tables = tablesOf(keys);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: keys.architecture }],
    ['general.name', { type: 'string', value: name }],
  ]);
  if (fileType !== null) metadata.set('general.file_type', { type: 'u32', value: fileType });
  if (tensors.some(({ type }) => !isPlainType(type))) {
    metadata.set('general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION });
  }
  for (const [key, value] of [...keys.metadata, ...(tokenizer ?? [])]) metadata.set(key, value);
  const float32 = ggmlTypeNamed('F32').id;
  const file = newGgufFile(metadata, [
    ...tensors.map(({ type, ...tensor }) => ({ ...tensor, typeId: ggmlTypeNamed(type).id })),
    ...tables.map(({ name: table, bytes }) => {
      return { name: table, typeId: float32, shape: [bytes.length / 4], sizeBytes: bytes.length };
    }),
  ]);
  return { tensors, tables, file, notes: [...keys.notes, ...fallbackNotes(tensors)] };
}

/** @param elements whole blocks of the type */
export function storedBytesOf(elements: number, type: GgmlType): number {
  const { blockElements, blockBytes } = ggmlTypeNamed(type);
  return (elements / blockElements) * blockBytes;
}

function sourceOf(tensor: ModelTensor, { module }: GgufName, keys: GgufModelKeys, root: string): WeightSource {
  const type = PLAIN_DTYPES.find((dtype) => dtype === tensor.dtype);
  if (type === undefined) {
    throw new ModelError({
      code: 'MODEL_DTYPE_UNSUPPORTED',
      what: `Tensor ${quoted(tensor.name)} is of the dtype ${tensor.dtype}; a GGUF file is made of ${PLAIN_DTYPES.join(', ')}.`,
      where: { file: tensor.file, tensor: tensor.name },
      whatToDo: 'Start from the model in one of these dtypes.',
    });
  }
  const isPaired = GGUF_FAMILIES[keys.architecture].pairsHeads && (module === 'attn_q' || module === 'attn_k');
  return {
    ranges: [{ path: `${root}/${tensor.file}`, offsetBytes: tensor.offsetBytes, sizeBytes: tensor.sizeBytes }],
    type,
    // A vector is one row, or a column whose rows move as a matrix's do.
    columns: tensor.shape.length > 1 ? (tensor.shape[1] ?? 1) : isPaired ? 1 : (tensor.shape[0] ?? 1),
    order: isPaired ? 'halves-to-pairs' : 'stored',
    heads: isPaired ? keys.heads[module] : 1,
  };
}

function tablesOf({ frequencyFactors }: GgufModelKeys): GgufExportPlan['tables'] {
  if (frequencyFactors === null) return [];
  const bytes = new Uint8Array(4 * frequencyFactors.length);
  const view = new DataView(bytes.buffer);
  frequencyFactors.forEach((factor, index) => view.setFloat32(4 * index, factor, true));
  return [{ name: ROTARY_TABLES.frequencies, bytes }];
}

/** A sentence for each type that had to give way. */
function fallbackNotes(tensors: readonly GgufExportTensor[]): string[] {
  const groups = new Map<string, GgufExportTensor[]>();
  for (const tensor of tensors) {
    if (tensor.insteadOf === null) continue;
    const key = `${tensor.insteadOf} ${tensor.type}`;
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  return [...groups.values()].map((group) => {
    const [first] = group;
    const columns = [...new Set(group.map(({ source }) => source.columns))].join(', ');
    const wanted = first?.insteadOf ?? 'F32';
    return (
      `${group.length} ${group.length === 1 ? 'tensor is' : 'tensors are'} ${first?.type ?? ''} instead of ${wanted}: ` +
      `rows of ${columns} weights are no whole blocks of ${ggmlTypeNamed(wanted).blockElements} (${quoted(first?.name ?? '')}${group.length > 1 ? ' and others' : ''}).`
    );
  });
}

function unexpected({ name, file }: ModelTensor, { architecture }: GgufModelKeys): ModelError {
  return new ModelError({
    code: 'MODEL_TENSOR_UNEXPECTED',
    what: `Tensor ${quoted(name)} has no place in a GGUF file of the architecture "${architecture}".`,
    where: { file, tensor: name },
    whatToDo: 'Check that config.json and weights belong together; else use another format.',
  });
}
