import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';

export function makeTemporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'lathe-cli-'));
}

/** BF16 weights whose exponents are spread as in real ones: a halving chance for each further binade (xorshift32). */
export function bf16Weights(elements: number, seed: number): Uint8Array {
  const words = new Uint16Array(elements);
  let state = seed;
  for (let index = 0; index < elements; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const binade = 122 - Math.clz32(state);
    words[index] = ((state & 1) << 15) | (binade << 7) | ((state >>> 1) & 127);
  }
  return new Uint8Array(words.buffer);
}

function matrix(name: string, shape: [number, number], seed: number): TensorSpec {
  return { name, dtype: 'BF16', shape, data: bf16Weights(shape[0] * shape[1], seed) };
}

/** Llama's linear maps and norms; `width` is the hidden size. */
export function llamaLayers(layers: number, width: number): TensorSpec[] {
  return Array.from({ length: layers }, (_, layer) => {
    const path = `model.layers.${layer}`;
    const maps: [string, [number, number]][] = [
      ['self_attn.q_proj', [width, width]],
      ['self_attn.k_proj', [width, width]],
      ['self_attn.v_proj', [width, width]],
      ['self_attn.o_proj', [width, width]],
      ['mlp.gate_proj', [2 * width, width]],
      ['mlp.up_proj', [2 * width, width]],
      ['mlp.down_proj', [width, 2 * width]],
    ];
    const norm: TensorSpec = { name: `${path}.input_layernorm.weight`, dtype: 'BF16', shape: [width] };
    return [
      norm,
      ...maps.map(([name, shape], index) => matrix(`${path}.${name}.weight`, shape, 10 * layer + index + 1)),
    ];
  }).flat();
}

export function llamaConfig(layers: number, width: number): string {
  const sizes = { hidden_size: width, intermediate_size: 2 * width, num_hidden_layers: layers, vocab_size: 100 };
  const heads = { num_attention_heads: 4, num_key_value_heads: 4 };
  return JSON.stringify({ architectures: ['LlamaForCausalLM'], model_type: 'llama', ...sizes, ...heads });
}

/** Writes a model of two layers in one file beside others with odd names, in a subfolder, empty, hidden. */
export function writeOddModel(folder: string): void {
  const tensors = [matrix('model.embed_tokens.weight', [100, 64], 99), ...llamaLayers(2, 64)];
  const files: Record<string, string | Uint8Array> = {
    'model.safetensors': buildSafetensors({ tensors, metadata: { format: 'pt' } }),
    'config.json': llamaConfig(2, 64),
    'notes & "quotes" (1).txt': 'odd\n',
    'sub folder/größe 漢字.json': '{}',
    '.hidden': 'hidden',
    empty: '',
  };
  mkdirSync(join(folder, 'sub folder'), { recursive: true });
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
}

/** SHA-256 of every file below a folder, by path. */
export function fileDigests(root: string): Record<string, string> {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    paths
      .filter((path) => statSync(join(root, path)).isFile())
      .map((path) => [
        path,
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest('hex'),
      ]),
  );
}
