import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DTYPE_BITS, type Dtype } from '../../../core/formats/safetensors/dtypes.ts';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';

const HIDDEN = 64;
const INTERMEDIATE = 128;
const VOCABULARY = 96;

/** Pseudo-random 32-bit numbers, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** BF16 weights near a bell curve, one in sixteen from a wider tail: the exponents of real weights. */
function bf16Weights(elements: number, next: () => number): Uint8Array {
  const words = new Uint16Array(elements);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  for (let index = 0; index < elements; index++) {
    const sum = (next() + next() + next() + next()) / 2 ** 32 - 2;
    float[0] = sum * 0.03 * (next() % 16 === 0 ? 8 : 1);
    words[index] = bits[0]! >>> 16;
  }
  return new Uint8Array(words.buffer);
}

function tensor(name: string, dtype: Dtype, shape: number[], next: () => number): TensorSpec {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  if (dtype === 'BF16') return { name, dtype, shape, data: bf16Weights(elements, next) };
  const data = Uint8Array.from({ length: (elements * DTYPE_BITS[dtype]) / 8 }, () => next() & 255);
  return { name, dtype, shape, data: dtype === 'BOOL' ? data.map((byte) => byte & 1) : data };
}

function layer(index: number, next: () => number): TensorSpec[] {
  const path = `model.layers.${index}`;
  return [
    tensor(`${path}.input_layernorm.weight`, 'BF16', [HIDDEN], next),
    tensor(`${path}.mlp.down_proj.weight`, 'BF16', [HIDDEN, INTERMEDIATE], next),
    tensor(`${path}.mlp.gate_proj.weight`, 'BF16', [INTERMEDIATE, HIDDEN], next),
    tensor(`${path}.mlp.up_proj.weight`, 'BF16', [INTERMEDIATE, HIDDEN], next),
    tensor(`${path}.post_attention_layernorm.weight`, 'F32', [HIDDEN], next),
    tensor(`${path}.self_attn.k_proj.weight`, 'BF16', [HIDDEN / 2, HIDDEN], next),
    tensor(`${path}.self_attn.o_proj.weight`, 'BF16', [HIDDEN, HIDDEN], next),
    tensor(`${path}.self_attn.q_proj.weight`, 'BF16', [HIDDEN, HIDDEN], next),
    tensor(`${path}.self_attn.v_proj.weight`, 'BF16', [HIDDEN / 2, HIDDEN], next),
  ];
}

/**
 * Writes a Llama of 2 layers in two shards: linear maps in BF16, other tensors in F16, F32, F8_E4M3, I64 and BOOL, one 0-d
 * and one empty; with the files that come with a model, a subfolder and an empty folder. About 190 KB.
 */
export function writeMixedModel(folder: string, seed = 7): void {
  const next = randomNumbers(seed);
  const first = [
    tensor('model.embed_tokens.weight', 'BF16', [VOCABULARY, HIDDEN], next),
    ...layer(0, next),
    tensor('rotary.inverse_frequencies', 'F16', [7, 3], next),
    tensor('step', 'I64', [], next),
  ];
  const second = [
    ...layer(1, next),
    tensor('lm_head.weight', 'BF16', [VOCABULARY, HIDDEN], next),
    tensor('model.norm.weight', 'BF16', [HIDDEN], next),
    tensor('experts.quantized', 'F8_E4M3', [32, 33], next),
    tensor('experts.nothing', 'F32', [0, 5], next),
    tensor('mask', 'BOOL', [65], next),
  ];
  const shards = [first, second].map((tensors, index) => ({
    name: `model-0000${index + 1}-of-00002.safetensors`,
    tensors,
    bytes: buildSafetensors({ tensors, metadata: { format: 'pt' } }),
  }));
  mkdirSync(join(folder, 'extras', 'notes'), { recursive: true });
  mkdirSync(join(folder, 'empty'));
  for (const { name, bytes } of shards) writeFileSync(join(folder, name), bytes);
  const weightMap = Object.fromEntries(shards.flatMap(({ name, tensors }) => tensors.map((each) => [each.name, name])));
  const index = {
    metadata: { total_size: shards.reduce((sum, { bytes }) => sum + bytes.length, 0) },
    weight_map: weightMap,
  };
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: HIDDEN,
    intermediate_size: INTERMEDIATE,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    num_hidden_layers: 2,
    vocab_size: VOCABULARY,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
  };
  const files: Record<string, string | Uint8Array> = {
    'model.safetensors.index.json': `${JSON.stringify(index, null, 2)}\n`,
    'config.json': `${JSON.stringify(config, null, 2)}\n`,
    'generation_config.json': '{"eos_token_id": 2}',
    'tokenizer.json': JSON.stringify({ version: '1.0', model: { type: 'BPE', vocab: { a: 0, ü: 1 }, merges: [] } }),
    'tokenizer_config.json': '{}\n',
    'README.md': '# A model of a test\n',
    'extras/blob.dat': Uint8Array.from({ length: 5000 }, () => next() & 255),
    'extras/nothing.txt': '',
    'extras/notes/deep note.txt': 'below two folders\n',
  };
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
}
