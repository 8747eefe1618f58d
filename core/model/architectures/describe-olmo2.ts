import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import {
  llamaAttention,
  llamaLike,
  llamaMlp,
  readActivation,
  readSizes,
  rmsNorm,
  type StoredNames,
} from './llama-like.ts';
import { readRotary } from './rotary-settings.ts';

/**
 * OLMo 2: no norm before a half but one after it, and one over all queries and one over all keys.
 *
 * Source: 2 OLMo 2 Furious, arXiv:2501.00656, section 2.1; Hugging Face Transformers, `modeling_olmo2.py`.
 */
export function describeOlmo2(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields, { epsilon: 1e-5 });
  const rotary = readRotary(fields, sizes.headSize);
  const hasBias = fields.flag('attention_bias', false);
  const activation = readActivation(fields, 'hidden_act', 'silu');
  const { hidden, heads, keyHeads, headSize, epsilon } = sizes;
  return llamaLike('olmo2', sizes, stored, (name) => ({
    attention: {
      ...llamaAttention(name, sizes, rotary, { qkv: hasBias, output: hasBias }),
      inputNorm: null,
      queryNorm: { norm: rmsNorm(`${name}.self_attn.q_norm`, heads * headSize, epsilon), over: 'all' },
      keyNorm: { norm: rmsNorm(`${name}.self_attn.k_norm`, keyHeads * headSize, epsilon), over: 'all' },
      outputNorm: rmsNorm(`${name}.post_attention_layernorm`, hidden, epsilon),
    },
    mlp: {
      ...llamaMlp(name, sizes, activation),
      inputNorm: null,
      outputNorm: rmsNorm(`${name}.post_feedforward_layernorm`, hidden, epsilon),
    },
  }));
}
