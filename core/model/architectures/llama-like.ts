import type { ModelError } from '../../errors.ts';
import type { ConfigFields } from './config-fields.ts';
import type {
  Activation,
  AttentionHalf,
  DecoderBlock,
  DecoderDescription,
  LinearMap,
  MlpHalf,
  Normalization,
  RotaryEmbedding,
} from './decoder-description.ts';

/** What is known of a model besides its config. */
export interface StoredNames {
  names: ReadonlySet<string>;
  /** Whether the head's weight is the embedding's. */
  isTied: boolean;
}

/** The sizes that every family's config has, most of them under Llama's names. */
export interface Sizes {
  hidden: number;
  intermediate: number;
  layers: number;
  heads: number;
  keyHeads: number;
  headSize: number;
  vocabulary: number;
  epsilon: number;
}

/** More blocks than any model has: each one is an object here. */
const MAX_LAYERS = 4096;

export function readSizes(fields: ConfigFields, fallback: { headSize?: number; epsilon?: number } = {}): Sizes {
  const hidden = fields.whole('hidden_size');
  const heads = fields.whole('num_attention_heads');
  const keyHeads = fields.whole('num_key_value_heads', heads);
  if (heads % keyHeads !== 0) throw fields.invalid('num_key_value_heads', keyHeads, `a divisor of ${heads} heads`);
  const layers = fields.whole('num_hidden_layers');
  if (layers > MAX_LAYERS) throw fields.invalid('num_hidden_layers', layers, `at most ${MAX_LAYERS}`);
  const headSize = fields.optionalWhole('head_dim') ?? fallback.headSize ?? hidden / heads;
  if (!Number.isInteger(headSize)) throw fields.invalid('hidden_size', hidden, `a multiple of ${heads} heads`);
  return {
    hidden,
    intermediate: fields.whole('intermediate_size'),
    layers,
    heads,
    keyHeads,
    headSize,
    vocabulary: fields.whole('vocab_size'),
    epsilon: fields.positive('rms_norm_eps', fallback.epsilon ?? 1e-6),
  };
}

const ACTIVATIONS: Record<string, Activation> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
};

export function readActivation(fields: ConfigFields, key: string, fallback: string): Activation {
  const name = fields.text(key, fallback);
  const activation = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (activation === undefined) throw fields.invalid(key, name, `one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return activation;
}

export function linearMap(name: string, inFeatures: number, outFeatures: number, hasBias = false): LinearMap {
  const bias = hasBias ? `${name}.bias` : null;
  return { name, weight: `${name}.weight`, bias, inFeatures, outFeatures, layout: 'out-in' };
}

export function rmsNorm(name: string, size: number, epsilon: number, addsOne = false): Normalization {
  return { kind: 'rms', weight: `${name}.weight`, bias: null, size, epsilon, addsOne };
}

/** Llama's attention, from which each family departs a little. */
export function llamaAttention(
  block: string,
  sizes: Sizes,
  rotary: RotaryEmbedding,
  bias: { qkv: boolean; output: boolean },
): AttentionHalf {
  const { hidden, heads, keyHeads, headSize } = sizes;
  const module = `${block}.self_attn`;
  return {
    inputNorm: rmsNorm(`${block}.input_layernorm`, hidden, sizes.epsilon),
    projections: {
      kind: 'separate',
      query: linearMap(`${module}.q_proj`, hidden, heads * headSize, bias.qkv),
      key: linearMap(`${module}.k_proj`, hidden, keyHeads * headSize, bias.qkv),
      value: linearMap(`${module}.v_proj`, hidden, keyHeads * headSize, bias.qkv),
    },
    queryNorm: null,
    keyNorm: null,
    rotary,
    heads,
    keyHeads,
    headSize,
    scale: headSize ** -0.5,
    softCap: null,
    window: null,
    output: linearMap(`${module}.o_proj`, heads * headSize, hidden, bias.output),
    outputNorm: null,
  };
}

/** Llama's gated MLP. */
export function llamaMlp(block: string, sizes: Sizes, activation: Activation, hasBias = false): MlpHalf {
  const { hidden, intermediate } = sizes;
  const module = `${block}.mlp`;
  return {
    inputNorm: rmsNorm(`${block}.post_attention_layernorm`, hidden, sizes.epsilon),
    maps: {
      kind: 'gated',
      gate: linearMap(`${module}.gate_proj`, hidden, intermediate, hasBias),
      up: linearMap(`${module}.up_proj`, hidden, intermediate, hasBias),
    },
    activation,
    down: linearMap(`${module}.down_proj`, intermediate, hidden, hasBias),
    outputNorm: null,
  };
}

/** A whole model of Llama's outline around a family's blocks. */
export function llamaLike(
  family: string,
  sizes: Sizes,
  { isTied }: StoredNames,
  block: (name: string, index: number) => { attention: AttentionHalf; mlp: MlpHalf },
  prefix = 'model',
  headName = 'lm_head',
): DecoderDescription {
  const embedding = `${prefix}.embed_tokens.weight`;
  const head = linearMap(headName, sizes.hidden, sizes.vocabulary);
  return {
    family,
    vocabularySize: sizes.vocabulary,
    hiddenSize: sizes.hidden,
    embedding: { tokens: embedding, scale: 1, positions: null },
    blocks: Array.from({ length: sizes.layers }, (_, index): DecoderBlock => {
      const name = `${prefix}.layers.${index}`;
      return { name, ...block(name, index) };
    }),
    finalNorm: rmsNorm(`${prefix}.norm`, sizes.hidden, sizes.epsilon),
    head: isTied ? { ...head, weight: embedding } : head,
    logitSoftCap: null,
  };
}

/** Which blocks see a window only: `layer_types` where the config has it, else the family's rule. */
export function readWindows(
  fields: ConfigFields,
  layers: number,
  window: number | null,
  hasWindow: (index: number) => boolean,
): (number | null)[] {
  const types = fields.optionalTexts('layer_types', layers);
  return Array.from({ length: layers }, (_, index) => {
    const type = types?.[index] ?? (hasWindow(index) ? 'sliding_attention' : 'full_attention');
    if (type === 'full_attention') return null;
    if (type !== 'sliding_attention') throw unknownLayerType(fields, type);
    return window;
  });
}

function unknownLayerType(fields: ConfigFields, type: string): ModelError {
  return fields.invalid('layer_types', type, 'full_attention or sliding_attention');
}
