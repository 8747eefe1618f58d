import { GGUF_MIXES, type GgufMix } from './gguf-mixes.ts';

/** The block types of GGUF files that weights can be quantized to, as recipes write them. */
export const BLOCK_FORMATS = [
  'q8_0',
  'q6_k',
  'q5_k',
  'q5_1',
  'q5_0',
  'q4_k',
  'q4_1',
  'q4_0',
  'iq4_nl',
  'iq4_xs',
  'q3_k',
  'q2_k',
  'bf16',
  'f16',
  'f32',
] as const;
export type BlockFormatName = (typeof BLOCK_FORMATS)[number];

/** Mixes that no block type has the name of, as recipes write them. */
const MIX_FORMATS = ['q5_k_m', 'q5_k_s', 'q4_k_m', 'q4_k_s', 'q3_k_l', 'q3_k_m', 'q3_k_s'] as const;

/** Formats that later releases bring: integers in groups, floats of four bits, codebooks below three bits. */
const LATER_FORMATS = ['int2', 'int3', 'int4', 'int8', 'nf4', 'fp4', 'pot4', 'iq2_xs', 'iq2_m', 'iq3_s'] as const;

export const QUANTIZED_FORMATS = [...BLOCK_FORMATS, ...MIX_FORMATS, ...LATER_FORMATS] as const;
export type QuantizedFormat = (typeof QUANTIZED_FORMATS)[number];

export function isBlockFormat(format: string): format is BlockFormatName {
  return (BLOCK_FORMATS as readonly string[]).includes(format);
}

/** The mix of a format's name; null for one block type, and for what is not a mix. */
export function mixOfFormat(format: string): GgufMix | null {
  if (!(MIX_FORMATS as readonly string[]).includes(format)) return null;
  return GGUF_MIXES.find((mix) => mix.toLowerCase() === format) ?? null;
}
