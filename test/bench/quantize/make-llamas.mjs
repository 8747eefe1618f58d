/** Llamas of random weights that both quantizers take: whole, with norms and the sample model's tokenizer. */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRepository } from '../../../scripts/run-command.mjs';
import { writeModel } from '../lossless/make-weights.mjs';

const SAMPLE = inRepository('examples/models/docs-llama-7m');
const SEED = 20240;

/** 501 M weights, nearly 1 GiB, in the shapes of TinyLlama-1.1B's blocks. */
export const ONE_GIBI = { hidden: 2048, intermediate: 5632, heads: 32, keyHeads: 4, layers: 11 };
/** 149 M weights, 0.28 GiB, in the same shapes. */
export const QUARTER = { ...ONE_GIBI, layers: 3 };
/** 2.3 G weights, 4.2 GiB, in the shapes of a Llama 2 7B's blocks. */
export const FOUR_GIBI = { hidden: 4096, intermediate: 11_008, heads: 32, keyHeads: 32, layers: 11 };

function planTensors({ hidden, intermediate, heads, keyHeads, layers }, vocabulary) {
  const keys = (hidden / heads) * keyHeads;
  const shapes = {
    input_layernorm: [hidden],
    'mlp.down_proj': [hidden, intermediate],
    'mlp.gate_proj': [intermediate, hidden],
    'mlp.up_proj': [intermediate, hidden],
    post_attention_layernorm: [hidden],
    'self_attn.k_proj': [keys, hidden],
    'self_attn.o_proj': [hidden, hidden],
    'self_attn.q_proj': [hidden, hidden],
    'self_attn.v_proj': [keys, hidden],
  };
  const blocks = Array.from({ length: layers }, (_, layer) =>
    Object.entries(shapes).map(([path, shape]) => ({ name: `model.layers.${layer}.${path}.weight`, shape })),
  );
  return [
    { name: 'model.embed_tokens.weight', shape: [vocabulary, hidden] },
    ...blocks.flat(),
    { name: 'model.norm.weight', shape: [hidden] },
    { name: 'lm_head.weight', shape: [vocabulary, hidden] },
  ];
}

/** @returns how many weights its matrices have, and the path of the file that holds them */
export function makeLlamaOf(shape, folder) {
  const sample = JSON.parse(readFileSync(join(SAMPLE, 'config.json'), 'utf8'));
  const config = {
    ...sample,
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.keyHeads,
    num_hidden_layers: shape.layers,
    head_dim: shape.hidden / shape.heads,
    tie_word_embeddings: false,
  };
  const tensors = planTensors(shape, config.vocab_size);
  const weightFile = writeModel(folder, config, tensors, SEED);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(join(SAMPLE, name), join(folder, name));
  const matrices = tensors.filter(({ shape: dimensions }) => dimensions.length === 2);
  return { weightFile, weights: matrices.reduce((sum, { shape: [out, inside] }) => sum + out * inside, 0) };
}
