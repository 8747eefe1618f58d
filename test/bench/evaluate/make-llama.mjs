/** A Llama of random BF16 weights: fast, seeded, and large enough to need more memory than a limit gives. */
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK_WORDS = 1 << 22;

const HIDDEN = 2048;
const INTERMEDIATE = 8192;
const LAYERS = 16;
const VOCABULARY = 32_000;
const HEAD = 64;
const KEY_HEADS = 8;

/** Norms are ones, matrices are bell curves so wide that values neither grow nor vanish over the layers. */
function planTensors() {
  const keys = KEY_HEADS * HEAD;
  const shapes = {
    input_layernorm: [HIDDEN],
    'mlp.down_proj': [HIDDEN, INTERMEDIATE],
    'mlp.gate_proj': [INTERMEDIATE, HIDDEN],
    'mlp.up_proj': [INTERMEDIATE, HIDDEN],
    post_attention_layernorm: [HIDDEN],
    'self_attn.k_proj': [keys, HIDDEN],
    'self_attn.o_proj': [HIDDEN, HIDDEN],
    'self_attn.q_proj': [HIDDEN, HIDDEN],
    'self_attn.v_proj': [keys, HIDDEN],
  };
  const tensors = [{ name: 'model.embed_tokens.weight', shape: [VOCABULARY, HIDDEN] }];
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [path, shape] of Object.entries(shapes)) {
      tensors.push({ name: `model.layers.${layer}.${path}.weight`, shape });
    }
  }
  tensors.push({ name: 'model.norm.weight', shape: [HIDDEN] });
  return tensors;
}

function elementsOf({ shape }) {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

function headerOf(tensors) {
  const header = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const tensor of tensors) {
    const begin = end;
    end += 2 * elementsOf(tensor);
    header[tensor.name] = { dtype: 'BF16', shape: tensor.shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/** BF16 words of a bell curve of width 0.02: sums of four bytes. */
function bellCurve(seed) {
  const words = new Uint16Array(CHUNK_WORDS);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  let state = seed >>> 0;
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    const sum = (mixed & 255) + ((mixed >>> 8) & 255) + ((mixed >>> 16) & 255) + (mixed >>> 24);
    float[0] = ((sum - 510) / 147.8) * 0.02;
    words[index] = (bits[0] + 0x8000) >>> 16;
  }
  return words;
}

/**
 * Writes a model folder of 1.04 billion parameters (2.1 GB).
 *
 * @param tokenizerFolder whose tokenizer it gets; its ids must be below 32,000
 * @returns how many parameters it has
 */
export function makeLlama(folder, tokenizerFolder, seed) {
  mkdirSync(folder, { recursive: true });
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: HIDDEN,
    intermediate_size: INTERMEDIATE,
    num_attention_heads: HIDDEN / HEAD,
    num_key_value_heads: KEY_HEADS,
    num_hidden_layers: LAYERS,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    vocab_size: VOCABULARY,
    tie_word_embeddings: true,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(tokenizerFolder, name), join(folder, name));
  }
  const tensors = planTensors();
  const words = bellCurve(seed);
  const ones = new Uint16Array(HIDDEN).fill(0x3f80);
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, headerOf(tensors));
  let at = 0;
  for (const tensor of tensors) {
    if (tensor.shape.length === 1) {
      writeSync(file, new Uint8Array(ones.buffer));
      continue;
    }
    // Each matrix begins at another place of the drawn words, so that no two are alike.
    for (let left = elementsOf(tensor); left > 0;) {
      const count = Math.min(left, words.length - at);
      writeSync(file, new Uint8Array(words.buffer, 2 * at, 2 * count));
      left -= count;
      at = (at + count) % words.length;
    }
    at = (at + 7919) % words.length;
  }
  closeSync(file);
  return tensors.reduce((sum, tensor) => sum + elementsOf(tensor), 0);
}
