import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import {
  linearMap,
  llamaAttention,
  llamaLike,
  llamaMlp,
  readActivation,
  readSizes,
  type StoredNames,
} from './llama-like.ts';
import { readRotary } from './rotary-settings.ts';

/**
 * Phi 3 and 3.5: a Llama with queries, keys and values in one matrix, gate and up in another.
 *
 * Source: Phi-3 technical report, arXiv:2404.14219, section 2; Hugging Face Transformers, `modeling_phi3.py`.
 */
export function describePhi3(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields, { epsilon: 1e-5 });
  const rotary = readRotary(fields, sizes.headSize);
  const window = fields.optionalWhole('sliding_window');
  const activation = readActivation(fields, 'hidden_act', 'silu');
  const { hidden, heads, keyHeads, headSize, intermediate } = sizes;
  return llamaLike('phi3', sizes, stored, (name) => ({
    attention: {
      ...llamaAttention(name, sizes, rotary, { qkv: false, output: false }),
      projections: {
        kind: 'fused',
        map: linearMap(`${name}.self_attn.qkv_proj`, hidden, (heads + 2 * keyHeads) * headSize),
      },
      window,
    },
    mlp: {
      ...llamaMlp(name, sizes, activation),
      maps: { kind: 'gated-fused', gateUp: linearMap(`${name}.mlp.gate_up_proj`, hidden, 2 * intermediate) },
    },
  }));
}
