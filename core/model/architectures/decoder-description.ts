/**
 * A decoder model as data: what `core/forward` needs to build its graphs, and what methods need to know its linear maps.
 *
 * Every tensor is named as Hugging Face stores it; `weights` of a description say which shape each one must have.
 */

/** A matrix of the model with its bias, y = W x + b. */
export interface LinearMap {
  /** The module's name, such as `model.layers.0.self_attn.q_proj`. */
  name: string;
  weight: string;
  bias: string | null;
  inFeatures: number;
  outFeatures: number;
  /** `out-in`: as everywhere. `in-out`: GPT-2's Conv1D stores it turned. */
  layout: 'out-in' | 'in-out';
}

export interface Normalization {
  /** `rms`: x / sqrt(mean(x²) + ε) · w; `layer`: (x - mean) / sqrt(variance + ε) · w + b. */
  kind: 'rms' | 'layer';
  weight: string;
  bias: string | null;
  size: number;
  epsilon: number;
  /** Gemma stores the weight minus one. */
  addsOne: boolean;
}

/** How positions turn into angles; factors as in `rotary-frequencies.ts`. */
export interface RotaryEmbedding {
  /** Dimensions of a head that turn, an even number; the others stay. */
  dimensions: number;
  base: number;
  scaling: RotaryScaling;
}

export type RotaryScaling =
  | { kind: 'default' }
  | { kind: 'linear'; factor: number }
  /** NTK by the length of the sequence at hand. */
  | { kind: 'dynamic'; factor: number; originalPositions: number }
  | {
      kind: 'llama3';
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      originalPositions: number;
    }
  | {
      kind: 'yarn';
      factor: number;
      betaFast: number;
      betaSlow: number;
      originalPositions: number;
      /** Cosines and sines are multiplied by it. */
      attentionFactor: number;
      truncates: boolean;
    }
  /** One factor a frequency; which list depends on the length of the sequence at hand. */
  | {
      kind: 'longrope';
      shortFactors: readonly number[];
      longFactors: readonly number[];
      originalPositions: number;
      attentionFactor: number;
    };

/** Queries, keys and values from one matrix each, or from one whose rows are queries, keys and values, in this order. */
export type Projections =
  { kind: 'separate'; query: LinearMap; key: LinearMap; value: LinearMap } | { kind: 'fused'; map: LinearMap };

export interface AttentionHalf {
  /** Before the projections; OLMo 2 has none. */
  inputNorm: Normalization | null;
  projections: Projections;
  /** `head`: over each head by itself; `all`: over all heads together. */
  queryNorm: { norm: Normalization; over: 'head' | 'all' } | null;
  keyNorm: { norm: Normalization; over: 'head' | 'all' } | null;
  rotary: RotaryEmbedding | null;
  heads: number;
  keyHeads: number;
  headSize: number;
  /** Scores are q · k times this. */
  scale: number;
  /** Scores s become c · tanh(s / c). */
  softCap: number | null;
  /** A query sees this many positions, itself included; null: all before it. */
  window: number | null;
  output: LinearMap;
  /** Of the half's result, before it is added. */
  outputNorm: Normalization | null;
}

export type Activation = 'silu' | 'gelu' | 'gelu-tanh';

/** What an MLP computes between its norm and its last matrix. */
export type MlpMaps =
  /** activation(gate x) · up x */
  | { kind: 'gated'; gate: LinearMap; up: LinearMap }
  /** The same, both from one matrix: gate's rows first. */
  | { kind: 'gated-fused'; gateUp: LinearMap }
  /** activation(up x) */
  | { kind: 'plain'; up: LinearMap };

export interface MlpHalf {
  inputNorm: Normalization | null;
  maps: MlpMaps;
  activation: Activation;
  down: LinearMap;
  outputNorm: Normalization | null;
}

export interface DecoderBlock {
  /** Such as `model.layers.0`. */
  name: string;
  attention: AttentionHalf;
  mlp: MlpHalf;
}

export interface DecoderDescription {
  /** Hugging Face's `model_type`. */
  family: string;
  vocabularySize: number;
  hiddenSize: number;
  embedding: {
    tokens: string;
    /** Rows are multiplied by it. */
    scale: number;
    /** A learned vector a position, for at most so many positions. */
    positions: { weight: string; count: number } | null;
  };
  blocks: readonly DecoderBlock[];
  finalNorm: Normalization;
  /** Its weight is the embedding's where the two are tied. */
  head: LinearMap;
  /** Logits l become c · tanh(l / c). */
  logitSoftCap: number | null;
}
