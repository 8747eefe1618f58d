import { FormatError, ModelError } from '../../errors.ts';
import { decodableType, decodableTypes } from '../../formats/gguf/ggml-types.ts';
import type { GgmlTensor } from '../../kernels/kernels.ts';
import { CONFIG_TABLES } from '../../model/gguf-config.ts';
import { requireGgufConfig, type GgufModel, type GgufModelTensor } from '../../model/gguf-model.ts';
import type { GgufPlace } from '../../model/gguf-names.ts';
import { quoted } from '../../quoted.ts';

/** A tensor of the Hugging Face model that a GGUF file stands for. */
export interface GgufPart {
  place: GgufPlace;
  elements: number;
  storedBytes: number;
  /** Relative to the model's folder. */
  file: string;
  /** For the kernels. */
  stored: GgmlTensor;
}

/**
 * Lists the tensors of a GGUF file as those of the Hugging Face model.
 *
 * @throws as `requireGgufConfig`; ModelError MODEL_TENSOR_UNEXPECTED (a tensor without a Hugging Face name),
 * MODEL_DTYPE_UNSUPPORTED (a type that Lathe does not decode); FormatError FORMAT_SHAPE_MISMATCH (rows that are no whole
 * blocks, but would have to be moved)
 */
export function ggufParts(model: GgufModel): GgufPart[] {
  requireGgufConfig(model);
  return model.tensors
    .filter(({ name }) => !CONFIG_TABLES.includes(name))
    .map((tensor) => {
      const { place, elements, sizeBytes: storedBytes, file } = tensor;
      if (place === null) throw unexpected(tensor, model);
      return { place, elements, storedBytes, file, stored: storedTensor(tensor, model) };
    });
}

/**
 * A tensor as the kernels take it; without a place in the Hugging Face model, as it is stored.
 *
 * @throws ModelError MODEL_DTYPE_UNSUPPORTED; FormatError FORMAT_SHAPE_MISMATCH
 */
export function storedTensor(tensor: GgufModelTensor, { root }: GgufModel): GgmlTensor {
  const { name, type, shape, place, file, offsetBytes, sizeBytes } = tensor;
  const decodable = decodableType(type);
  if (decodable === null) {
    throw new ModelError({
      code: 'MODEL_DTYPE_UNSUPPORTED',
      what: `Tensor ${quoted(name)} is of the type ${type}, which Lathe does not decode; it decodes ${decodableTypes()}.`,
      where: { file, tensor: name },
      whatToDo: 'Get the model in one of these types.',
    });
  }
  const { order, heads, add } = place ?? { order: 'stored', heads: 1, add: 0 };
  // A bias is a column: its rows, one element each, move as a matrix's do.
  const columns = shape.length > 1 ? (shape[shape.length - 1] ?? 1) : 1;
  if (order !== 'stored' && shape.length === 1 && !['F32', 'F16', 'BF16'].includes(decodable)) {
    throw new FormatError({
      code: 'FORMAT_SHAPE_MISMATCH',
      what: `${quoted(file)}: tensor ${quoted(name)} is one column of the type ${type}, whose blocks lie along rows.`,
      where: { file, tensor: name },
      whatToDo: 'Get a GGUF file that llama.cpp takes.',
    });
  }
  return {
    source: { path: `${root}/${file}`, offsetBytes, sizeBytes },
    type: decodable,
    columns,
    order,
    heads,
    add,
  };
}

function unexpected({ name, file }: GgufModelTensor, { architecture }: GgufModel): ModelError {
  return new ModelError({
    code: 'MODEL_TENSOR_UNEXPECTED',
    what: `Tensor ${quoted(name)} has no Hugging Face name in a model of the class ${String(architecture)}.`,
    where: { file, tensor: name },
    whatToDo: 'Use "lathe inspect", which works for every tensor.',
  });
}
