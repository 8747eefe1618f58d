import { assertNever, ModelError } from '../errors.ts';
import { ROTARY_TABLES, type GgufArchitecture } from './gguf-families.ts';
import type { GgufFields } from './gguf-fields.ts';
import { rotaryScaling, type RotaryTables } from './gguf-rotary.ts';
import type { JsonObject } from './model-config.ts';

/** What the config follows from, besides the metadata. */
export interface GgufModelFacts {
  architecture: GgufArchitecture;
  /** Stored shapes, [out, in], by GGUF name. */
  shapes: ReadonlyMap<string, readonly number[]>;
  tables: RotaryTables;
}

/** The sizes at which llama.cpp takes Gemma 2 and 3 for their 27B models, whose query scale differs: layers. */
const GEMMA_27B_LAYERS: Readonly<Partial<Record<GgufArchitecture, number>>> = { gemma2: 46, gemma3: 62 };
/** llama.cpp's values where Gemma 2's keys are missing. */
const GEMMA_2_CAPS = { attention: 50, final: 30 } as const;
const GEMMA_3_PATTERN = 6;
const GEMMA_3_LOCAL_BASE = 10_000;
const DEFAULT_BASE = 10_000;

/**
 * The model's config in Hugging Face's schema, made from a GGUF file's metadata.
 *
 * Source: llama.cpp's converters, the other way round; where they keep nothing (Gemma's query scale, activations), what
 * llama.cpp computes with. The dtype is left out: a GGUF file does not tell it.
 * @throws ModelError MODEL_CONFIG_INVALID
 */
export function configFromGguf(fields: GgufFields, facts: GgufModelFacts): JsonObject {
  const { architecture, shapes } = facts;
  const keys = fields.under(`${architecture}.`);
  if ((keys.optionalCount('expert_count') ?? 0) > 0) throw isMixture(architecture);
  const common = {
    vocab_size: shapes.get('token_embd.weight')?.[0] ?? keys.whole('vocab_size'),
    tie_word_embeddings: !shapes.has('output.weight'),
    ...specialTokens(fields.under('tokenizer.ggml.')),
  };
  switch (architecture) {
    case 'llama':
      return { ...named('LlamaForCausalLM', 'llama'), ...llamaLike(keys, facts, 'silu'), ...biases(shapes), ...common };
    case 'qwen2':
      return { ...named('Qwen2ForCausalLM', 'qwen2'), ...llamaLike(keys, facts, 'silu'), ...common };
    case 'qwen3':
      return {
        ...named('Qwen3ForCausalLM', 'qwen3'),
        ...llamaLike(keys, facts, 'silu'),
        attention_bias: shapes.has('blk.0.attn_q.bias'),
        ...common,
      };
    case 'gemma':
      return { ...named('GemmaForCausalLM', 'gemma'), ...gemma(keys, facts), ...common };
    case 'gemma2':
      return {
        ...named('Gemma2ForCausalLM', 'gemma2'),
        ...gemma(keys, facts),
        ...queryScale(keys, architecture),
        attn_logit_softcapping: keys.optionalPositive('attn_logit_softcapping') ?? GEMMA_2_CAPS.attention,
        final_logit_softcapping: keys.optionalPositive('final_logit_softcapping') ?? GEMMA_2_CAPS.final,
        sliding_window: keys.whole('attention.sliding_window'),
        ...common,
      };
    case 'gemma3':
      return {
        ...named('Gemma3ForCausalLM', 'gemma3_text'),
        ...gemma(keys, facts),
        ...queryScale(keys, architecture),
        ...gemma3Windows(keys),
        final_logit_softcapping: keys.optionalPositive('final_logit_softcapping'),
        ...common,
      };
    case 'phi3':
      return { ...named('Phi3ForCausalLM', 'phi3'), ...llamaLike(keys, facts, 'silu'), ...phi3(keys), ...common };
    case 'gpt2':
      return { ...named('GPT2LMHeadModel', 'gpt2'), ...gpt2(keys), ...common };
    default:
      return assertNever(architecture, 'GGUF architecture');
  }
}

function named(className: string, modelType: string): JsonObject {
  return { architectures: [className], model_type: modelType };
}

function llamaLike(keys: GgufFields, { tables }: GgufModelFacts, activation: string): JsonObject {
  const hidden = keys.whole('embedding_length');
  const heads = keys.whole('attention.head_count');
  const headSize = headSizeOf(keys, hidden, heads);
  const base = keys.optionalPositive('rope.freq_base') ?? DEFAULT_BASE;
  const dimensions = keys.optionalWhole('rope.dimension_count') ?? headSize;
  return {
    hidden_size: hidden,
    intermediate_size: keys.whole('feed_forward_length'),
    num_hidden_layers: keys.whole('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: keys.optionalWhole('attention.head_count_kv') ?? heads,
    head_dim: headSize,
    hidden_act: activation,
    max_position_embeddings: keys.whole('context_length'),
    rms_norm_eps: keys.positive('attention.layer_norm_rms_epsilon'),
    rope_theta: base,
    rope_scaling: rotaryScaling(keys, tables, { base, dimensions }),
    ...(dimensions === headSize ? {} : { partial_rotary_factor: dimensions / headSize }),
  };
}

function headSizeOf(keys: GgufFields, hidden: number, heads: number): number {
  const size = keys.optionalWhole('attention.key_length') ?? hidden / heads;
  if (!Number.isInteger(size)) throw keys.invalid('attention.head_count', heads, `a divisor of ${hidden}`);
  const valueSize = keys.optionalWhole('attention.value_length') ?? size;
  if (valueSize !== size) throw keys.invalid('attention.value_length', valueSize, `${size}, the size of keys`);
  return size;
}

function biases(shapes: GgufModelFacts['shapes']): JsonObject {
  return { attention_bias: shapes.has('blk.0.attn_q.bias'), mlp_bias: shapes.has('blk.0.ffn_down.bias') };
}

function gemma(keys: GgufFields, facts: GgufModelFacts): JsonObject {
  const activation = 'gelu_pytorch_tanh';
  return { ...llamaLike(keys, facts, activation), hidden_activation: activation };
}

function queryScale(keys: GgufFields, architecture: GgufArchitecture): JsonObject {
  const heads = keys.whole('attention.head_count');
  const perHead = keys.whole('embedding_length') / heads;
  const is27b = keys.whole('block_count') === GEMMA_27B_LAYERS[architecture];
  const scalar = is27b ? perHead : headSizeOf(keys, keys.whole('embedding_length'), heads);
  const scale = keys.optionalPositive('attention.scale');
  return { query_pre_attn_scalar: scale === null ? scalar : scale ** -2 };
}

/** Without a window, every block sees everything. */
function gemma3Windows(keys: GgufFields): JsonObject {
  const window = keys.optionalWhole('attention.sliding_window');
  if (window === null) return { sliding_window_pattern: 1 };
  return {
    sliding_window: window,
    sliding_window_pattern: GEMMA_3_PATTERN,
    rope_local_base_freq: keys.optionalPositive('rope.freq_base_swa') ?? GEMMA_3_LOCAL_BASE,
  };
}

function phi3(keys: GgufFields): JsonObject {
  // The converter writes 0 for a model without a window.
  const window = keys.optionalCount('attention.sliding_window') ?? 0;
  const original = keys.optionalWhole('rope.scaling.original_context_length') ?? keys.whole('context_length');
  return { sliding_window: window === 0 ? null : window, original_max_position_embeddings: original };
}

function gpt2(keys: GgufFields): JsonObject {
  const hidden = keys.whole('embedding_length');
  const positions = keys.whole('context_length');
  return {
    n_embd: hidden,
    n_layer: keys.whole('block_count'),
    n_head: keys.whole('attention.head_count'),
    n_inner: keys.whole('feed_forward_length'),
    n_positions: positions,
    n_ctx: positions,
    layer_norm_epsilon: keys.positive('attention.layer_norm_epsilon'),
    activation_function: 'gelu_new',
  };
}

function specialTokens(keys: GgufFields): JsonObject {
  const named = [
    ['bos_token_id', 'bos_token_id'],
    ['eos_token_id', 'eos_token_id'],
    ['pad_token_id', 'padding_token_id'],
  ] as const;
  const found = named.map(([name, key]) => [name, keys.optionalCount(key)] as const);
  return Object.fromEntries(found.filter(([, id]) => id !== null));
}

/** Tables that `configFromGguf` may need, by tensor name. */
export const CONFIG_TABLES: readonly string[] = Object.values(ROTARY_TABLES);

function isMixture(architecture: string): ModelError {
  return new ModelError({
    code: 'MODEL_ARCHITECTURE_UNKNOWN',
    what: `This GGUF file holds a mixture of experts of the architecture "${architecture}", which has no Hugging Face names here.`,
    whatToDo: 'Use "lathe inspect", which works for every architecture.',
  });
}
