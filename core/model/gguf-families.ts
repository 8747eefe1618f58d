/** The architectures whose tensors have Hugging Face names here, by `general.architecture`. */
export interface GgufFamily {
  /** Modules outside the blocks, by their GGUF name. */
  modules: Readonly<Record<string, string>>;
  /** Modules of a block, by their GGUF name. */
  blockModules: Readonly<Record<string, string>>;
  /** What stands before a block's number. */
  blocks: string;
  /** True where the rows of queries and keys are stored in pairs, for ggml's rotary positions. */
  pairsHeads: boolean;
  /** True where norms are stored with 1 added. */
  addsOneToNorms: boolean;
  /** Modules of a block whose matrices Hugging Face stores as [in, out]. */
  transposed: readonly string[];
}

/** Tables that Hugging Face keeps in the config. */
export const ROTARY_TABLES = {
  frequencies: 'rope_freqs.weight',
  long: 'rope_factors_long.weight',
  short: 'rope_factors_short.weight',
} as const;

const LLAMA_MODULES = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
} as const;

const LLAMA_BLOCK = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
} as const;

const HEAD_NORMS = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' } as const;

const LLAMA: GgufFamily = {
  modules: LLAMA_MODULES,
  blockModules: LLAMA_BLOCK,
  blocks: 'model.layers',
  pairsHeads: true,
  addsOneToNorms: false,
  transposed: [],
};

/** Norms on both sides of each half. */
const GEMMA_2_BLOCK = {
  ...LLAMA_BLOCK,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
} as const;

/** Source: llama.cpp's converters and its `tensor_mapping.py`, the other way round. */
export const GGUF_FAMILIES = {
  llama: LLAMA,
  qwen2: { ...LLAMA, pairsHeads: false },
  qwen3: { ...LLAMA, blockModules: { ...LLAMA_BLOCK, ...HEAD_NORMS }, pairsHeads: false },
  gemma: { ...LLAMA, pairsHeads: false, addsOneToNorms: true },
  gemma2: { ...LLAMA, blockModules: GEMMA_2_BLOCK, pairsHeads: false, addsOneToNorms: true },
  gemma3: { ...LLAMA, blockModules: { ...GEMMA_2_BLOCK, ...HEAD_NORMS }, pairsHeads: false, addsOneToNorms: true },
  phi3: {
    ...LLAMA,
    blockModules: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'self_attn.qkv_proj',
      attn_output: 'self_attn.o_proj',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
    },
    pairsHeads: false,
  },
  gpt2: {
    modules: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    blockModules: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    blocks: 'transformer.h',
    pairsHeads: false,
    addsOneToNorms: false,
    transposed: ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'],
  },
} as const satisfies Record<string, GgufFamily>;

export type GgufArchitecture = keyof typeof GGUF_FAMILIES;

export function isGgufArchitecture(name: string): name is GgufArchitecture {
  return Object.hasOwn(GGUF_FAMILIES, name);
}
