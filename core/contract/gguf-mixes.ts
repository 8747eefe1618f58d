/** The mixes of types that people know by name, and files of one type, as llama.cpp's quantizer takes them. */
export const GGUF_MIXES = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q6_K',
  'Q5_K_M',
  'Q5_K_S',
  'Q5_1',
  'Q5_0',
  'Q4_K_M',
  'Q4_K_S',
  'Q4_1',
  'Q4_0',
  'IQ4_NL',
  'IQ4_XS',
  'Q3_K_L',
  'Q3_K_M',
  'Q3_K_S',
  'Q2_K',
] as const;
export type GgufMix = (typeof GGUF_MIXES)[number];

/** The mix of a name as people write it; null for another. */
export function ggufMixNamed(name: string): GgufMix | null {
  const upper = name.toUpperCase();
  return GGUF_MIXES.find((mix) => mix === upper) ?? null;
}
