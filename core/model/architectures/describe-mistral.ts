import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import { llamaAttention, llamaLike, llamaMlp, readActivation, readSizes, type StoredNames } from './llama-like.ts';
import { readRotary } from './rotary-settings.ts';

/**
 * Mistral: a Llama whose queries see a window of positions.
 *
 * Source: Mistral 7B, arXiv:2310.06825, section 2; Hugging Face Transformers, `modeling_mistral.py`.
 */
export function describeMistral(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields);
  const rotary = readRotary(fields, sizes.headSize);
  const window = fields.optionalWhole('sliding_window');
  const activation = readActivation(fields, 'hidden_act', 'silu');
  return llamaLike('mistral', sizes, stored, (name) => ({
    attention: { ...llamaAttention(name, sizes, rotary, { qkv: false, output: false }), window },
    mlp: llamaMlp(name, sizes, activation),
  }));
}
