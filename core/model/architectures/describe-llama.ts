import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import { llamaAttention, llamaLike, llamaMlp, readActivation, readSizes, type StoredNames } from './llama-like.ts';
import { readRotary } from './rotary-settings.ts';

/**
 * Llama 1 to 3, SmolLM and all that say they are Llamas.
 *
 * Source: LLaMA, arXiv:2302.13971, section 2.2; Hugging Face Transformers, `modeling_llama.py`.
 */
export function describeLlama(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields);
  const rotary = readRotary(fields, sizes.headSize);
  const hasAttentionBias = fields.flag('attention_bias', false);
  const hasMlpBias = fields.flag('mlp_bias', false);
  const activation = readActivation(fields, 'hidden_act', 'silu');
  return llamaLike('llama', sizes, stored, (name) => ({
    attention: llamaAttention(name, sizes, rotary, { qkv: hasAttentionBias, output: hasAttentionBias }),
    mlp: llamaMlp(name, sizes, activation, hasMlpBias),
  }));
}
