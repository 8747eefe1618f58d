import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import {
  llamaAttention,
  llamaLike,
  llamaMlp,
  readActivation,
  readSizes,
  readWindows,
  rmsNorm,
  type Sizes,
  type StoredNames,
} from './llama-like.ts';
import { readRotary } from './rotary-settings.ts';

/** Qwen 3's class default; Qwen 2 has hidden size / heads. */
const QWEN3_HEAD_SIZE = 128;

/**
 * Qwen 2 and 2.5: a Llama with biases on queries, keys and values; on request a window from some block on.
 *
 * Source: Qwen2 technical report, arXiv:2407.10671, section 2.2; Hugging Face Transformers, `modeling_qwen2.py`.
 */
export function describeQwen2(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields);
  const rotary = readRotary(fields, sizes.headSize);
  const windows = qwenWindows(fields, sizes);
  const activation = readActivation(fields, 'hidden_act', 'silu');
  return llamaLike('qwen2', sizes, stored, (name, index) => ({
    attention: {
      ...llamaAttention(name, sizes, rotary, { qkv: true, output: false }),
      window: windows[index] ?? null,
    },
    mlp: llamaMlp(name, sizes, activation),
  }));
}

/**
 * Qwen 3: no biases, but a norm over each head of queries and keys before they turn.
 *
 * Source: Qwen3 technical report, arXiv:2505.09388, section 2; Hugging Face Transformers, `modeling_qwen3.py`.
 */
export function describeQwen3(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields, { headSize: QWEN3_HEAD_SIZE });
  const rotary = readRotary(fields, sizes.headSize);
  const windows = qwenWindows(fields, sizes);
  const hasBias = fields.flag('attention_bias', false);
  const activation = readActivation(fields, 'hidden_act', 'silu');
  return llamaLike('qwen3', sizes, stored, (name, index) => ({
    attention: {
      ...llamaAttention(name, sizes, rotary, { qkv: hasBias, output: hasBias }),
      queryNorm: { norm: rmsNorm(`${name}.self_attn.q_norm`, sizes.headSize, sizes.epsilon), over: 'head' },
      keyNorm: { norm: rmsNorm(`${name}.self_attn.k_norm`, sizes.headSize, sizes.epsilon), over: 'head' },
      window: windows[index] ?? null,
    },
    mlp: llamaMlp(name, sizes, activation),
  }));
}

function qwenWindows(fields: ConfigFields, sizes: Sizes): (number | null)[] {
  const window = fields.flag('use_sliding_window', false) ? fields.whole('sliding_window', 4096) : null;
  const firstWithWindow = fields.has('max_window_layers') ? Number(fields.whole('max_window_layers')) : 28;
  return readWindows(fields, sizes.layers, window, (index) => window !== null && index >= firstWithWindow);
}
