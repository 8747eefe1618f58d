import type { ConfigFields } from './config-fields.ts';
import type { DecoderBlock, DecoderDescription, LinearMap, Normalization } from './decoder-description.ts';
import { linearMap, readActivation, type StoredNames } from './llama-like.ts';

const MAX_LAYERS = 4096;

/**
 * GPT-2: learned positions, layer norms, biases everywhere, a plain MLP; matrices stored [in, out].
 *
 * Source: Language Models are Unsupervised Multitask Learners (2019), section 2.3; Hugging Face Transformers,
 * `modeling_gpt2.py`. Its first files name their tensors without `transformer.`.
 */
export function describeGpt2(fields: ConfigFields, { names, isTied }: StoredNames): DecoderDescription {
  const hidden = fields.whole('n_embd');
  const layers = fields.whole('n_layer');
  if (layers > MAX_LAYERS) throw fields.invalid('n_layer', layers, `at most ${MAX_LAYERS}`);
  const heads = fields.whole('n_head');
  if (hidden % heads !== 0) throw fields.invalid('n_embd', hidden, `a multiple of ${heads} heads`);
  const headSize = hidden / heads;
  const intermediate = fields.whole('n_inner', 4 * hidden);
  const vocabularySize = fields.whole('vocab_size');
  const epsilon = fields.positive('layer_norm_epsilon', 1e-5);
  const activation = readActivation(fields, 'activation_function', 'gelu_new');
  const baseScale = fields.flag('scale_attn_weights', true) ? headSize ** -0.5 : 1;
  const scalesByLayer = fields.flag('scale_attn_by_inverse_layer_idx', false);
  const prefix = names.has('wte.weight') ? '' : 'transformer.';

  const layerNorm = (name: string): Normalization => ({
    kind: 'layer',
    weight: `${name}.weight`,
    bias: `${name}.bias`,
    size: hidden,
    epsilon,
    addsOne: false,
  });
  const conv1d = (name: string, inFeatures: number, outFeatures: number): LinearMap => ({
    ...linearMap(name, inFeatures, outFeatures, true),
    layout: 'in-out',
  });
  const embedding = `${prefix}wte.weight`;
  const head = linearMap('lm_head', hidden, vocabularySize);
  return {
    family: 'gpt2',
    vocabularySize,
    hiddenSize: hidden,
    embedding: {
      tokens: embedding,
      scale: 1,
      positions: { weight: `${prefix}wpe.weight`, count: fields.whole('n_positions', 1024) },
    },
    blocks: Array.from({ length: layers }, (_, index): DecoderBlock => {
      const name = `${prefix}h.${index}`;
      return {
        name,
        attention: {
          inputNorm: layerNorm(`${name}.ln_1`),
          projections: { kind: 'fused', map: conv1d(`${name}.attn.c_attn`, hidden, 3 * hidden) },
          queryNorm: null,
          keyNorm: null,
          rotary: null,
          heads,
          keyHeads: heads,
          headSize,
          scale: scalesByLayer ? baseScale / (index + 1) : baseScale,
          softCap: null,
          window: null,
          output: conv1d(`${name}.attn.c_proj`, hidden, hidden),
          outputNorm: null,
        },
        mlp: {
          inputNorm: layerNorm(`${name}.ln_2`),
          maps: { kind: 'plain', up: conv1d(`${name}.mlp.c_fc`, hidden, intermediate) },
          activation,
          down: conv1d(`${name}.mlp.c_proj`, intermediate, hidden),
          outputNorm: null,
        },
      };
    }),
    finalNorm: layerNorm(`${prefix}ln_f`),
    head: isTied ? { ...head, weight: embedding } : head,
    logitSoftCap: null,
  };
}
