/** Made-up models whose weights have heavy tails and many scales, as trained ones have: fast, seeded, without a library. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const LAYERS = 11;
const CHUNK_WORDS = 1 << 22;
const TABLE_BITS = 16;
const TABLE_SIZE = 1 << TABLE_BITS;
const BF16_ONE = 0x3f80;

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** BF16 word of a number, rounded to nearest. */
function bf16(value) {
  float[0] = value;
  return (floatBits[0] + 0x8000) >>> 16;
}

/** The value below which a fraction `u` of Student's t with 4 degrees of freedom lies (closed form). */
function studentQuantile(u) {
  const alpha = 4 * u * (1 - u);
  const root = Math.cos(Math.acos(Math.sqrt(alpha)) / 3) / Math.sqrt(alpha);
  return Math.sign(u - 0.5) * 2 * Math.sqrt(Math.max(0, root - 1));
}

/**
 * Words by 65,536 equal shares of probability. Where a share is wider than a step of BF16, the low bits are drawn: near
 * zero the density is flat, so the mantissa is uniform (`jitter` 127); the outermost and innermost shares span many
 * binades, so their words are computed one by one (`jitter` -1).
 */
function makeTable(scale) {
  const words = new Uint16Array(TABLE_SIZE);
  const jitter = new Int8Array(TABLE_SIZE);
  for (let index = 0; index < TABLE_SIZE; index++) {
    const value = scale * studentQuantile((index + 0.5) / TABLE_SIZE);
    words[index] = bf16(value);
    if (Math.abs(value) < scale / 32) jitter[index] = 127;
    const distance = Math.min(index, TABLE_SIZE - 1 - index, Math.abs(index - TABLE_SIZE / 2 + 0.5) - 0.5);
    if (distance < 8) jitter[index] = -1;
  }
  return { words, jitter, scale };
}

/** Fills `target` with draws from a table; `state` is the generator's (sfc32, four words), and goes on. */
function fill(target, count, { words, jitter, scale }, state) {
  let [a, b, c, counter] = state;
  for (let index = 0; index < count; index++) {
    const draw = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + draw;
    const at = draw >>> (32 - TABLE_BITS);
    const mask = jitter[at];
    if (mask === 0) target[index] = words[at];
    else if (mask > 0) target[index] = (words[at] & ~mask) | (draw & mask);
    else target[index] = bf16(scale * studentQuantile((at + ((draw & 0xffff) + 0.5) / 65536) / TABLE_SIZE));
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = counter;
}

/** Names and shapes of a Llama whose weights take exactly `sizeBytes`: embeddings and output matrix take up the rest. */
function planTensors(sizeBytes, hidden) {
  const [intermediate, keys] = [(hidden * 11) / 4, hidden / 4];
  const shapes = {
    'mlp.down_proj': [hidden, intermediate],
    'mlp.gate_proj': [intermediate, hidden],
    'mlp.up_proj': [intermediate, hidden],
    'self_attn.k_proj': [keys, hidden],
    'self_attn.o_proj': [hidden, hidden],
    'self_attn.q_proj': [hidden, hidden],
    'self_attn.v_proj': [keys, hidden],
  };
  const layerWords = Object.values(shapes).reduce((sum, [out, inside]) => sum + out * inside, 0);
  const vocabulary = Math.floor((sizeBytes / 2 - LAYERS * layerWords) / (2 * hidden));
  const tensors = [{ name: 'model.embed_tokens.weight', shape: [vocabulary, hidden] }];
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [path, shape] of Object.entries(shapes)) {
      tensors.push({ name: `model.layers.${layer}.${path}.weight`, shape });
    }
  }
  tensors.push({ name: 'lm_head.weight', shape: [vocabulary, hidden] });
  return { tensors, intermediate, vocabulary };
}

function headerOf(tensors) {
  const header = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, shape } of tensors) {
    const begin = end;
    end += shape.reduce((product, dimension) => product * dimension, 2);
    header[name] = { dtype: 'BF16', shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/**
 * Writes `config.json` and `model.safetensors`: matrices of heavy tails, vectors of ones.
 *
 * @returns the path of the weights
 */
export function writeModel(folder, config, tensors, seed) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  const state = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const words = new Uint16Array(CHUNK_WORDS);
  const bytes = Buffer.from(words.buffer);
  fill(words, 64, makeTable(1), state);
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, headerOf(tensors));
  for (const [index, { shape }] of tensors.entries()) {
    if (shape.length === 1) {
      words.fill(BF16_ONE, 0, shape[0]);
      writeSync(file, bytes, 0, 2 * shape[0]);
      continue;
    }
    // Between 0.008 and 0.06, by kind of tensor and by layer.
    const table = makeTable(0.008 * 2 ** (((index * 5) % 7) / 2.4));
    for (let left = shape[0] * shape[1]; left > 0; left -= CHUNK_WORDS) {
      const count = Math.min(left, CHUNK_WORDS);
      fill(words, count, table, state);
      writeSync(file, bytes, 0, 2 * count);
    }
  }
  closeSync(file);
  return join(folder, 'model.safetensors');
}

/**
 * Writes a model folder of about `sizeBytes` (a multiple of a few MiB).
 *
 * @param hidden 1024 suits 256 MiB, 2048 suits 1 GiB, 4096 suits 4 GiB
 */
export function makeModel(folder, sizeBytes, hidden, seed) {
  const { tensors, intermediate, vocabulary } = planTensors(sizeBytes, hidden);
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_attention_heads: hidden / 64,
    num_key_value_heads: hidden / 256,
    num_hidden_layers: LAYERS,
    vocab_size: vocabulary,
    tie_word_embeddings: false,
  };
  return writeModel(folder, config, tensors, seed);
}

/** A model of many small tensors in many shards, with its index: 100 x 50 for `inspect`. */
export function makeManyShards(folder, shards, tensorsEach) {
  mkdirSync(folder, { recursive: true });
  const weightMap = {};
  for (let shard = 0; shard < shards; shard++) {
    const name = `model-${String(shard + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`;
    const tensors = Array.from({ length: tensorsEach }, (_, index) => ({
      name: `model.layers.${shard}.mlp.experts.${index}.down_proj.weight`,
      shape: [8, 16],
    }));
    for (const tensor of tensors) weightMap[tensor.name] = name;
    writeFileSync(join(folder, name), Buffer.concat([headerOf(tensors), Buffer.alloc(256 * tensorsEach)]));
  }
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ architectures: ['LlamaForCausalLM'] }));
}
