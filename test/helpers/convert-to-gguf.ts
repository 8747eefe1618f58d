/** A tiny converter of Hugging Face models to F32 or BF16 GGUF files, for tests: what llama.cpp's converters do. */
import type { JsonObject } from '../../core/model/model-config.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { floatBytes, type GgufSpec, type GgufTensorSpec, type GgufValueSpec } from './build-gguf.ts';

export interface TokenizerJson {
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
  added_tokens: { id: number; content: string; special: boolean }[];
}

type Entry = [string, ...GgufValueSpec];

/** Metadata of a byte-level tokenizer. */
export function ggufTokenizer({ model, added_tokens: added }: TokenizerJson, pre: string): Entry[] {
  const tokens: string[] = [];
  const types: number[] = [];
  for (const [text, id] of Object.entries(model.vocab)) {
    tokens[id] = text;
    types[id] = 1;
  }
  for (const { id, content, special } of added) {
    tokens[id] = content;
    types[id] = special ? 3 : 4;
  }
  for (let id = 0; id < tokens.length; id++) {
    tokens[id] ??= `[PAD${id}]`;
    types[id] ??= 5;
  }
  const merges = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
  return [
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', pre],
    ['tokenizer.ggml.tokens', 'array', { of: 'string', items: tokens }],
    ['tokenizer.ggml.token_type', 'array', { of: 'i32', items: types }],
    ['tokenizer.ggml.merges', 'array', { of: 'string', items: merges }],
  ];
}

const BLOCK_NAMES: Record<string, string> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  ln_1: 'attn_norm',
  ln_2: 'ffn_norm',
  'attn.c_attn': 'attn_qkv',
  'attn.c_proj': 'attn_output',
  'mlp.c_fc': 'ffn_up',
  'mlp.c_proj': 'ffn_down',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};
const OUTER_NAMES: Record<string, string> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  'transformer.wte': 'token_embd',
  'transformer.wpe': 'position_embd',
  'transformer.ln_f': 'output_norm',
};

function ggufName(name: string, isGemma: boolean): string {
  const [, layer, module, field] = /^(?:model\.layers|transformer\.h)\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  if (layer === undefined || module === undefined) {
    const outer = /^(.+)\.(weight|bias)$/.exec(name)!;
    return `${OUTER_NAMES[outer[1]!]!}.${outer[2]!}`;
  }
  const norm = isGemma ? 'post_attention_norm' : 'ffn_norm';
  return `blk.${layer}.${module === 'post_attention_layernorm' ? norm : BLOCK_NAMES[module]!}.${field!}`;
}

/** Rows of each head from halves to pairs: 0 4 1 5 2 6 3 7 of a head of 8. */
function pairRows(weights: Float32Array, columns: number, heads: number): Float32Array {
  const size = weights.length / columns / heads;
  const out = new Float32Array(weights.length);
  for (let row = 0; row < heads * size; row++) {
    const within = row % size;
    const paired = row - within + (within % 2) * (size / 2) + Math.floor(within / 2);
    out.set(weights.subarray(paired * columns, (paired + 1) * columns), row * columns);
  }
  return out;
}

function transposed(weights: Float32Array, rows: number, columns: number): Float32Array {
  return weights.map((_, index) => weights[(index % rows) * columns + Math.floor(index / rows)]!);
}

/** BF16 bytes of weights that are exact in it. */
export function bf16Bytes(weights: Float32Array): Uint8Array {
  const words = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}

/** Blocks of 32: a half for the scale, the greatest magnitude by 127, and signed bytes. */
export function q8Bytes(weights: Float32Array): Uint8Array {
  const out = new Uint8Array((weights.length / 32) * 34);
  const view = new DataView(out.buffer);
  for (let block = 0; block < weights.length / 32; block++) {
    const part = weights.subarray(32 * block, 32 * block + 32);
    const scale = roundedHalf(part.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0) / 127);
    view.setUint16(34 * block, scale.word, true);
    part.forEach((weight, index) => {
      const code = scale.value === 0 ? 0 : Math.round(weight / scale.value);
      view.setInt8(34 * block + 2 + index, Math.max(-127, Math.min(127, code)));
    });
  }
  return out;
}

/** A number from 0 to 65,504 with eleven significant bits; below 2^-14 a multiple of 2^-24. */
function roundedHalf(value: number): { word: number; value: number } {
  if (value < 2 ** -14) {
    const word = Math.round(value * 2 ** 24);
    return { word, value: word * 2 ** -24 };
  }
  const exponent = Math.floor(Math.log2(value));
  const mantissa = Math.round((value / 2 ** exponent - 1) * 1024);
  return { word: ((exponent + 15) << 10) + mantissa, value: (1 + mantissa / 1024) * 2 ** exponent };
}

const STORED = {
  F32: { id: 0, bytes: floatBytes },
  BF16: { id: 30, bytes: bf16Bytes },
  Q8_0: { id: 8, bytes: q8Bytes },
} as const;

interface ConvertOptions {
  tokenizer?: Entry[];
  /** Of matrices; norms and biases are F32. */
  type?: keyof typeof STORED;
}

/** The GGUF file of a Hugging Face model of a family that GGUF has. */
export async function convertToGguf(
  config: JsonObject,
  weights: WeightSource,
  { tokenizer = [], type = 'F32' }: ConvertOptions = {},
): Promise<GgufSpec> {
  const modelType = String(config['model_type']);
  const architecture = modelType === 'gemma3_text' ? 'gemma3' : modelType;
  const isGemma = architecture.startsWith('gemma');
  const heads = Number(config['num_attention_heads'] ?? config['n_head']);
  const keyHeads = Number(config['num_key_value_heads'] ?? heads);
  const tensors: GgufTensorSpec[] = [];
  for (const name of weights.names) {
    let shape = [...weights.shapeOf(name)!];
    let values = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
    await weights.read(name, values);
    const stored = ggufName(name, isGemma);
    if (architecture === 'llama' && /attn_[qk]\.(weight|bias)$/.test(stored)) {
      values = new Float32Array(pairRows(values, shape[1] ?? 1, stored.includes('attn_q') ? heads : keyHeads));
    }
    if (isGemma && stored.endsWith('norm.weight')) values = values.map((weight) => weight + 1);
    if (/\.c_(attn|proj|fc)\.weight$/.test(name)) {
      values = new Float32Array(transposed(values, shape[0]!, shape[1]!));
      shape = shape.reverse();
    }
    const { id, bytes } = STORED[shape.length > 1 ? type : 'F32'];
    tensors.push({ name: stored, type: id, shape, data: bytes(values) });
  }
  const metadata: Entry[] = [['general.architecture', 'string', architecture], ...keysOf(architecture, config)];
  return { metadata: [...metadata, ...tokenizer], tensors: [...tensors, ...rotaryTables(config)] };
}

function keysOf(architecture: string, config: JsonObject): Entry[] {
  const entries: Entry[] = [];
  function add(key: string, type: 'u32' | 'f32', ...names: string[]): void {
    const value = names.map((name) => config[name]).find((found) => found !== undefined && found !== null);
    if (typeof value === 'number') entries.push([`${architecture}.${key}`, type, value]);
  }
  add('context_length', 'u32', 'max_position_embeddings', 'n_positions');
  add('embedding_length', 'u32', 'hidden_size', 'n_embd');
  add('block_count', 'u32', 'num_hidden_layers', 'n_layer');
  add('feed_forward_length', 'u32', 'intermediate_size', 'n_inner');
  add('attention.head_count', 'u32', 'num_attention_heads', 'n_head');
  add('attention.head_count_kv', 'u32', 'num_key_value_heads');
  add('attention.key_length', 'u32', 'head_dim');
  add('attention.value_length', 'u32', 'head_dim');
  add('attention.layer_norm_rms_epsilon', 'f32', 'rms_norm_eps');
  add('attention.layer_norm_epsilon', 'f32', 'layer_norm_epsilon');
  add('attention.sliding_window', 'u32', 'sliding_window');
  add('attn_logit_softcapping', 'f32', 'attn_logit_softcapping');
  add('final_logit_softcapping', 'f32', 'final_logit_softcapping');
  add('rope.freq_base', 'f32', 'rope_theta');
  add('rope.freq_base_swa', 'f32', 'rope_local_base_freq');
  add('rope.scaling.original_context_length', 'u32', 'original_max_position_embeddings');
  const fraction = config['partial_rotary_factor'];
  if (typeof fraction === 'number') {
    const size = Number(config['hidden_size']) / Number(config['num_attention_heads']);
    entries.push([`${architecture}.rope.dimension_count`, 'u32', size * fraction]);
  }
  const scaling = config['rope_scaling'] as JsonObject | null | undefined;
  const kind = scaling?.['rope_type'] ?? scaling?.['type'];
  if (scaling && (kind === 'linear' || kind === 'yarn')) {
    entries.push([`${architecture}.rope.scaling.type`, 'string', kind]);
    entries.push([`${architecture}.rope.scaling.factor`, 'f32', Number(scaling['factor'])]);
    for (const [key, name, type] of [
      ['original_context_length', 'original_max_position_embeddings', 'u32'],
      ['yarn_attn_factor', 'attention_factor', 'f32'],
      ['yarn_beta_fast', 'beta_fast', 'f32'],
      ['yarn_beta_slow', 'beta_slow', 'f32'],
    ] as const) {
      const value = scaling[name];
      if (typeof value === 'number') entries.push([`${architecture}.rope.scaling.${key}`, type, value]);
    }
  }
  return entries;
}

function rotaryTables(config: JsonObject): GgufTensorSpec[] {
  const scaling = config['rope_scaling'] as JsonObject | null | undefined;
  const table = (name: string, factors: number[]): GgufTensorSpec => {
    return { name, type: 0, shape: [factors.length], data: floatBytes(factors) };
  };
  if (scaling?.['type'] === 'longrope') {
    return [
      table('rope_factors_long.weight', scaling['long_factor'] as number[]),
      table('rope_factors_short.weight', scaling['short_factor'] as number[]),
    ];
  }
  if (scaling?.['rope_type'] !== 'llama3') return [];
  const size = Number(config['head_dim']);
  const [factor, low, high, context] = [
    'factor',
    'low_freq_factor',
    'high_freq_factor',
    'original_max_position_embeddings',
  ].map((key) => Number(scaling[key])) as [number, number, number, number];
  const factors = Array.from({ length: size / 2 }, (_, index) => {
    const wavelength = 2 * Math.PI * Number(config['rope_theta']) ** ((2 * index) / size);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = (context / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  return [table('rope_freqs.weight', factors)];
}
