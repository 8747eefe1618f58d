import type { ConfigFields } from './config-fields.ts';
import type { DecoderDescription, Normalization, RotaryEmbedding } from './decoder-description.ts';
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

/** Class defaults, where configs are silent. */
const HEAD_SIZE = 256;
const QUERY_SCALAR = 256;
const GLOBAL_BASE = 1_000_000;
const LOCAL_BASE = 10_000;

/** Modules of the decoder and its head: Gemma 3's image models keep the decoder one level deeper. */
const PLACES = [
  ['model', 'lm_head'],
  ['model.language_model', 'lm_head'],
  ['language_model.model', 'language_model.lm_head'],
] as const;

/**
 * Gemma 2: norms (stored minus one) before and after each half, capped scores and logits, every second block with a
 * window, embeddings times the root of the hidden size.
 *
 * Source: Gemma 2, arXiv:2408.00118, section 2; Hugging Face Transformers, `modeling_gemma2.py`.
 */
export function describeGemma2(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const sizes = readSizes(fields, { headSize: HEAD_SIZE });
  const rotary = readRotary(fields, sizes.headSize);
  return gemma('gemma2', fields, stored, sizes, {
    windowEvery: (index) => index % 2 === 0,
    rotaryOf: () => rotary,
    normsHeads: false,
    scoreCap: fields.has('attn_logit_softcapping') ? fields.positive('attn_logit_softcapping') : null,
    logitCap: fields.has('final_logit_softcapping') ? fields.positive('final_logit_softcapping') : null,
  });
}

/**
 * Gemma 3's text decoder: Gemma 2 with norms over queries and keys in place of caps, a window in five blocks of six, and
 * another rotary base in those.
 *
 * Source: Gemma 3, arXiv:2503.19786, section 2; Hugging Face Transformers, `modeling_gemma3.py`.
 */
export function describeGemma3(fields: ConfigFields, stored: StoredNames): DecoderDescription {
  const text = fields.optionalObject('text_config') ?? fields;
  const sizes = readSizes(text, { headSize: HEAD_SIZE });
  const period = text.whole('sliding_window_pattern', 6);
  const whole = readRotary(text, sizes.headSize, { base: GLOBAL_BASE, layerType: 'full_attention' });
  // Scaling stretches the blocks that see everything, never those with a window.
  const parameters = text.optionalObject('rope_parameters')?.optionalObject('sliding_attention') ?? null;
  const local: RotaryEmbedding = {
    dimensions: whole.dimensions,
    base: parameters?.optionalPositive('rope_theta') ?? text.positive('rope_local_base_freq', LOCAL_BASE),
    scaling: { kind: 'default' },
  };
  return gemma('gemma3', text, stored, sizes, {
    windowEvery: (index) => (index + 1) % period !== 0,
    rotaryOf: (isLocal) => (isLocal ? local : whole),
    normsHeads: true,
    scoreCap: text.optionalPositive('attn_logit_softcapping'),
    logitCap: text.optionalPositive('final_logit_softcapping'),
  });
}

interface GemmaFeatures {
  windowEvery: (index: number) => boolean;
  rotaryOf: (isLocal: boolean) => RotaryEmbedding;
  normsHeads: boolean;
  scoreCap: number | null;
  logitCap: number | null;
}

function gemma(
  family: string,
  fields: ConfigFields,
  stored: StoredNames,
  sizes: Sizes,
  features: GemmaFeatures,
): DecoderDescription {
  const norm = (name: string, size = sizes.hidden): Normalization => rmsNorm(name, size, sizes.epsilon, true);
  const hasBias = fields.flag('attention_bias', false);
  const scale = fields.positive('query_pre_attn_scalar', QUERY_SCALAR) ** -0.5;
  const activation = readActivation(fields, 'hidden_activation', 'gelu_pytorch_tanh');
  const window = fields.whole('sliding_window', 4096);
  const windows = readWindows(fields, sizes.layers, window, features.windowEvery);
  const [prefix, headName] = PLACES.find(([place]) => stored.names.has(`${place}.embed_tokens.weight`)) ?? PLACES[0];
  const outline = llamaLike(
    family,
    sizes,
    stored,
    (name, index) => {
      const ownWindow = windows[index] ?? null;
      const headNorm = (which: string) =>
        features.normsHeads
          ? { norm: norm(`${name}.self_attn.${which}`, sizes.headSize), over: 'head' as const }
          : null;
      return {
        attention: {
          ...llamaAttention(name, sizes, features.rotaryOf(ownWindow !== null), { qkv: hasBias, output: hasBias }),
          inputNorm: norm(`${name}.input_layernorm`),
          queryNorm: headNorm('q_norm'),
          keyNorm: headNorm('k_norm'),
          scale,
          softCap: features.scoreCap,
          window: ownWindow,
          outputNorm: norm(`${name}.post_attention_layernorm`),
        },
        mlp: {
          ...llamaMlp(name, sizes, activation),
          inputNorm: norm(`${name}.pre_feedforward_layernorm`),
          outputNorm: norm(`${name}.post_feedforward_layernorm`),
        },
      };
    },
    prefix,
    headName,
  );
  return {
    ...outline,
    embedding: { ...outline.embedding, scale: Math.sqrt(sizes.hidden) },
    finalNorm: norm(`${prefix}.norm`),
    logitSoftCap: features.logitCap,
  };
}
