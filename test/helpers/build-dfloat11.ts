import { buildSafetensors, type TensorSpec } from './build-safetensors.ts';
import { MemoryFiles, type MemoryNode } from './memory-files.ts';

/** The module of the folder's one unit. */
export const UNIT = 'model.layers.0';

/** A config of 1 layer: hidden size 8, 2 heads of 4, 1 head of keys. The unit holds the maps of queries and keys. */
export const DFLOAT11_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  tie_word_embeddings: true,
  hidden_size: 8,
  intermediate_size: 16,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 32,
  dfloat11_config: {
    bytes_per_thread: 8,
    pattern_dict: { 'model\\.layers\\.\\d+': ['self_attn.q_proj', 'self_attn.k_proj'] },
    threads_per_block: [512],
    version: '0.5.0',
  } as Record<string, unknown>,
};

/** The unit's fields: 64 + 32 elements in a stream of 40 bytes, which is one block. */
function unitTensors(): TensorSpec[] {
  const splitPositions = new Uint8Array(8);
  new DataView(splitPositions.buffer).setBigInt64(0, 64n, true);
  return [
    { name: `${UNIT}.split_positions`, dtype: 'I64', shape: [1], data: splitPositions },
    { name: `${UNIT}.input_layernorm.weight`, dtype: 'BF16', shape: [8] },
    { name: `${UNIT}.encoded_exponent`, dtype: 'U8', shape: [40] },
    { name: `${UNIT}.gaps`, dtype: 'U8', shape: [320] },
    { name: `${UNIT}.luts`, dtype: 'U8', shape: [2, 256] },
    { name: `${UNIT}.output_positions`, dtype: 'U8', shape: [8] },
    { name: `${UNIT}.sign_mantissa`, dtype: 'U8', shape: [96] },
  ];
}

export interface Dfloat11Spec {
  /** Replaces parts of a field of the unit, by its last part; null leaves it out. */
  fields?: Record<string, Partial<TensorSpec> | null>;
  splitPositions?: bigint[];
  config?: Record<string, unknown>;
  /** Replaces parts of `dfloat11_config`. */
  dfloat11?: Record<string, unknown>;
  /** More tensors of the remainder. */
  more?: TensorSpec[];
  /** More files, by name. */
  files?: Record<string, MemoryNode>;
}

/** A DFloat11 folder at `/m`, sound but for what the caller changes. Its coded data are made up. */
export function buildDfloat11({
  fields = {},
  splitPositions,
  config,
  dfloat11,
  more,
  files,
}: Dfloat11Spec = {}): MemoryFiles {
  const tensors = unitTensors().flatMap((tensor): TensorSpec[] => {
    const change = fields[tensor.name.slice(UNIT.length + 1)];
    if (change === null) return [];
    const { data: _, ...unfilled } = tensor;
    return [change ? { ...unfilled, ...change } : tensor];
  });
  if (splitPositions) {
    const data = new Uint8Array(BigInt64Array.from(splitPositions).buffer);
    const at = tensors.findIndex(({ name }) => name.endsWith('.split_positions'));
    tensors[at] = { name: `${UNIT}.split_positions`, dtype: 'I64', shape: [splitPositions.length], data };
  }
  const embedding: TensorSpec = { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [32, 8] };
  const settings = {
    ...DFLOAT11_CONFIG,
    dfloat11_config: { ...DFLOAT11_CONFIG.dfloat11_config, ...dfloat11 },
    ...config,
  };
  return new MemoryFiles({
    '/m/config.json': JSON.stringify(settings),
    '/m/model_layers_0.safetensors': buildSafetensors({ tensors }),
    '/m/model.safetensors': buildSafetensors({ tensors: [embedding, ...(more ?? [])], metadata: { format: 'pt' } }),
    ...Object.fromEntries(Object.entries(files ?? {}).map(([name, node]) => [`/m/${name}`, node])),
  });
}
