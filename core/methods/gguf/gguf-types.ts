import type { GgufMix } from '../../contract/gguf-mixes.ts';
import { ggmlTypeNamed } from '../../formats/gguf/ggml-types.ts';
import type { GgmlType } from '../../kernels/kernels.ts';

/** `general.file_type`, as llama.cpp numbers its `llama_ftype`. */
export const FILE_TYPES: Readonly<Record<GgufMix, number>> = {
  F32: 0,
  F16: 1,
  BF16: 32,
  Q8_0: 7,
  Q6_K: 18,
  Q5_K_M: 17,
  Q5_K_S: 16,
  Q5_1: 9,
  Q5_0: 8,
  Q4_K_M: 15,
  Q4_K_S: 14,
  Q4_1: 3,
  Q4_0: 2,
  IQ4_NL: 25,
  IQ4_XS: 30,
  Q3_K_L: 13,
  Q3_K_M: 12,
  Q3_K_S: 11,
  Q2_K: 10,
};

/** A tensor as the choice of its type needs it. */
export interface MixedTensor {
  name: string;
  module: string;
  layer: number | null;
  shape: readonly number[];
}

export interface MixFacts {
  layers: number;
  /** The embedding is the output matrix too. */
  isTied: boolean;
  /** Query heads to a key head. */
  queriesPerKey: number;
  hasImportance: boolean;
}

export interface ChosenType {
  type: GgmlType;
  /** What the mix asks for, where its blocks do not fit the rows; else null. */
  insteadOf: GgmlType | null;
}

/** Where rows are not whole blocks: the nearest type with smaller blocks, and half precision where even those do not fit. */
const FALLBACKS: Readonly<Partial<Record<GgmlType, GgmlType>>> = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
  IQ4_XS: 'IQ4_NL',
};

/**
 * The type of a tensor in a mix: matrices by their place in the model, everything else in single precision.
 *
 * Source: llama.cpp's `llama-quant.cpp` (`llama_tensor_get_type`) for models like Llama; where rows do not fit the type's
 * blocks, its fallbacks.
 */
export function typeInMix(tensor: MixedTensor, mix: GgufMix, facts: MixFacts): ChosenType {
  if (tensor.shape.length < 2) return { type: 'F32', insteadOf: null };
  return fittingType(wantedType(tensor, mix, facts), tensor.shape);
}

/** A type, or what stands in for it where the rows of a matrix are no whole blocks of it. */
export function fittingType(wanted: GgmlType, shape: readonly number[]): ChosenType {
  const columns = shape[shape.length - 1] ?? 0;
  let type: GgmlType = wanted;
  while (columns % ggmlTypeNamed(type).blockElements !== 0) type = FALLBACKS[type] ?? 'F16';
  return { type, insteadOf: type === wanted ? null : wanted };
}

function wantedType({ module, layer }: MixedTensor, mix: GgufMix, facts: MixFacts): GgmlType {
  const base = baseType(mix);
  if (mix === 'F32' || mix === 'F16' || mix === 'BF16' || mix === 'Q8_0') return base;
  if (module === 'output' || (module === 'token_embd' && facts.isTied)) return 'Q6_K';
  if (layer === null) return base;
  switch (module) {
    case 'attn_v':
      return valueType(layer, mix, facts) ?? base;
    case 'ffn_down':
      return downType(layer, mix, facts) ?? base;
    case 'attn_output':
      return ({ Q2_K: 'Q3_K', Q3_K_M: 'Q4_K', Q3_K_L: 'Q5_K' }[mix as string] as GgmlType | undefined) ?? base;
    default:
      return base;
  }
}

function baseType(mix: GgufMix): GgmlType {
  return mix.replace(/_[SML]$/, '') as GgmlType;
}

function valueType(layer: number, mix: GgufMix, facts: MixFacts): GgmlType | null {
  const isShared = facts.queriesPerKey >= 4;
  switch (mix) {
    case 'Q2_K':
      return isShared ? 'Q4_K' : 'Q3_K';
    case 'Q3_K_M':
      return layer < 2 ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_S':
      return layer < 4 ? 'Q5_K' : null;
    case 'Q4_K_M':
    case 'Q5_K_M':
      return needsMoreBits(layer, facts.layers) ? 'Q6_K' : null;
    case 'IQ4_NL':
    case 'IQ4_XS':
      return isShared ? 'Q5_K' : null;
    default:
      return null;
  }
}

function downType(layer: number, mix: GgufMix, { layers, hasImportance }: MixFacts): GgmlType | null {
  const isFirstEighth = layer < Math.floor(layers / 8);
  switch (mix) {
    case 'Q2_K':
      return 'Q3_K';
    case 'Q3_K_M':
      return layer < Math.floor(layers / 16) ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_S':
      return isFirstEighth ? 'Q5_K' : null;
    case 'Q4_K_M':
    case 'Q5_K_M':
      return needsMoreBits(layer, layers) ? 'Q6_K' : null;
    case 'Q4_0':
      return hasImportance && isFirstEighth ? 'Q4_1' : null;
    case 'Q5_0':
      return hasImportance && isFirstEighth ? 'Q5_1' : null;
    case 'IQ4_NL':
    case 'IQ4_XS':
      return !hasImportance && isFirstEighth ? 'Q5_K' : null;
    default:
      return null;
  }
}

/** The first and the last eighth of the layers, and every third between them. */
function needsMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}
