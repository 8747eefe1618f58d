import { isJsonObject, type JsonObject } from './model-config.ts';

/** The sizes from which the shapes of a Llama-like model follow. */
interface Sizes {
  hidden: number;
  intermediate: number;
  expertIntermediate: number;
  /** Heads x head size, of queries and of keys. */
  queries: number;
  keys: number;
  vocabulary: number;
}

/** [out, in] of the linear maps and embeddings, by the last part of the module's name. */
const SHAPES: Record<string, (sizes: Sizes, isExpert: boolean) => [number, number]> = {
  q_proj: ({ queries, hidden }) => [queries, hidden],
  k_proj: ({ keys, hidden }) => [keys, hidden],
  v_proj: ({ keys, hidden }) => [keys, hidden],
  o_proj: ({ queries, hidden }) => [hidden, queries],
  qkv_proj: ({ queries, keys, hidden }) => [queries + 2 * keys, hidden],
  gate_proj: (sizes, isExpert) => [innerSize(sizes, isExpert), sizes.hidden],
  up_proj: (sizes, isExpert) => [innerSize(sizes, isExpert), sizes.hidden],
  down_proj: (sizes, isExpert) => [sizes.hidden, innerSize(sizes, isExpert)],
  gate_up_proj: (sizes, isExpert) => [2 * innerSize(sizes, isExpert), sizes.hidden],
  embed_tokens: ({ vocabulary, hidden }) => [vocabulary, hidden],
  lm_head: ({ vocabulary, hidden }) => [vocabulary, hidden],
};

function innerSize({ intermediate, expertIntermediate }: Sizes, isExpert: boolean): number {
  return isExpert ? expertIntermediate : intermediate;
}

/**
 * The shape of a linear map or an embedding, from the model's config.
 *
 * Source: Hugging Face Transformers, `modeling_llama.py` and those like it (Mistral, Qwen 2 and 3, SmolLM, Phi 3, Qwen 3
 * MoE). Callers check the product: an architecture with other shapes under these names is noticed.
 * @param tensor a name such as `model.layers.0.self_attn.q_proj.weight`
 * @returns [out, in]; null for other names, or if the config lacks a size
 */
export function linearShape(config: JsonObject, tensor: string): [number, number] | null {
  const parts = tensor.split('.');
  const name = parts[parts.length - 2] ?? '';
  const rule = Object.hasOwn(SHAPES, name) ? SHAPES[name] : undefined;
  if (parts[parts.length - 1] !== 'weight' || !rule) return null;
  const shape = rule(sizesOf(config), parts.includes('experts'));
  return shape.every((dim) => Number.isSafeInteger(dim) && dim > 0) ? shape : null;
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
  return {
    hidden: sizeOf('hidden_size'),
    intermediate: sizeOf('intermediate_size'),
    expertIntermediate: sizeOf('moe_intermediate_size', sizeOf('intermediate_size')),
    queries: heads * headSize,
    keys: sizeOf('num_key_value_heads', heads) * headSize,
    vocabulary: sizeOf('vocab_size'),
  };
}
