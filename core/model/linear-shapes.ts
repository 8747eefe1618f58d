import { isJsonObject, type JsonObject } from './model-config.ts';

/** The sizes from which the shapes of a Llama-like model follow. */
interface Sizes {
  hidden: number;
  /** Of dense layers, of each expert, of the expert that every token goes through (or of those together). */
  intermediate: number;
  expertIntermediate: number;
  sharedIntermediate: number;
  /** Heads x head size, of queries and of keys. */
  queries: number;
  keys: number;
  vocabulary: number;
}

/** The layer half that a map lies in: it decides the size between `up` and `down`. */
type Inner = 'intermediate' | 'expertIntermediate' | 'sharedIntermediate';

/** [out, in] of the linear maps and embeddings, by the last part of the module's name. */
const SHAPES: Record<string, (sizes: Sizes, inner: Inner) => [number, number]> = {
  q_proj: ({ queries, hidden }) => [queries, hidden],
  k_proj: ({ keys, hidden }) => [keys, hidden],
  v_proj: ({ keys, hidden }) => [keys, hidden],
  o_proj: ({ queries, hidden }) => [hidden, queries],
  qkv_proj: ({ queries, keys, hidden }) => [queries + 2 * keys, hidden],
  gate_proj: (sizes, inner) => [sizes[inner], sizes.hidden],
  up_proj: (sizes, inner) => [sizes[inner], sizes.hidden],
  down_proj: (sizes, inner) => [sizes.hidden, sizes[inner]],
  gate_up_proj: (sizes, inner) => [2 * sizes[inner], sizes.hidden],
  embed_tokens: ({ vocabulary, hidden }) => [vocabulary, hidden],
  lm_head: ({ vocabulary, hidden }) => [vocabulary, hidden],
};

/**
 * The shape of a linear map or an embedding, from the model's config. A size that the config leaves to its class follows
 * from the number of elements, if the other is told.
 *
 * Source: Hugging Face Transformers, `modeling_llama.py` and those like it (Mistral, Qwen 2 and 3, SmolLM, Gemma, Phi 3,
 * Qwen 2 and 3 MoE). Callers check the product: an architecture with other shapes under these names is noticed.
 * @param tensor a name such as `model.layers.0.self_attn.q_proj.weight`
 * @returns [out, in]; null for other names, or if the config tells too little
 */
export function linearShape(config: JsonObject, tensor: string, elements: number): [number, number] | null {
  const parts = tensor.split('.');
  const name = parts[parts.length - 2] ?? '';
  const rule = Object.hasOwn(SHAPES, name) ? SHAPES[name] : undefined;
  if (parts[parts.length - 1] !== 'weight' || !rule) return null;
  const [rows, columns] = rule(sizesOf(config), innerOf(parts));
  const shape: [number, number] = [
    isSize(rows) ? rows : elements / columns,
    isSize(columns) ? columns : elements / rows,
  ];
  return shape.every(isSize) ? shape : null;
}

function isSize(dim: number): boolean {
  return Number.isSafeInteger(dim) && dim > 0;
}

function innerOf(parts: readonly string[]): Inner {
  if (parts.includes('experts')) return 'expertIntermediate';
  return parts.includes('shared_expert') || parts.includes('shared_experts') ? 'sharedIntermediate' : 'intermediate';
}

/** NaN for what is missing or no number. */
function sizesOf(config: JsonObject): Sizes {
  const nested = config['text_config'];
  const sizes = config['hidden_size'] === undefined && isJsonObject(nested) ? nested : config;
  const sizeOf = (key: string, fallback = NaN) => {
    const value = sizes[key];
    return typeof value === 'number' ? value : fallback;
  };
  const heads = sizeOf('num_attention_heads');
  const headSize = sizeOf('head_dim', sizeOf('hidden_size') / heads);
  const expertIntermediate = sizeOf('moe_intermediate_size', sizeOf('intermediate_size'));
  return {
    hidden: sizeOf('hidden_size'),
    intermediate: sizeOf('intermediate_size'),
    expertIntermediate,
    sharedIntermediate: sizeOf('shared_expert_intermediate_size', sizeOf('n_shared_experts') * expertIntermediate),
    queries: heads * headSize,
    keys: sizeOf('num_key_value_heads', heads) * headSize,
    vocabulary: sizeOf('vocab_size'),
  };
}
