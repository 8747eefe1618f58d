/**
 * The tiny models of every family that GGUF has (make-forward-fixtures.py), by way of a GGUF file: the same description,
 * so the same computation, and the same weights, so the logits that Transformers gives.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { describeDecoder } from '../../core/model/architectures/describe-decoder.ts';
import { requireGgufConfig, type GgufModel } from '../../core/model/gguf-model.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import { openModel } from '../../core/model/open-model.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { loadKernels } from '../../native-kernels/index.ts';
import { nodeFileAccess } from '../../workers/engine/node-file-access.ts';
import { openWeightSource } from '../../workers/inference/open-weight-source.ts';
import { buildGguf } from '../helpers/build-gguf.ts';
import { convertToGguf } from '../helpers/convert-to-gguf.ts';
import { drawnWeights, type DrawnTensor } from '../helpers/drawn-weights.ts';

interface Fixture {
  seed: number;
  config: JsonObject;
  tensors: DrawnTensor[];
}

let kernels: Kernels;
const folder = mkdtempSync(join(tmpdir(), 'lathe-gguf-'));
beforeAll(() => {
  kernels = loadKernels(fileURLToPath(new URL('../../dist/native/lathe-kernels.node', import.meta.url)));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function readAll(weights: WeightSource, name: string): Promise<Float32Array> {
  const out = new Float32Array(weights.shapeOf(name)!.reduce((product, dim) => product * dim, 1));
  await weights.read(name, out);
  return out;
}

/** What of the fixtures' configs a GGUF file does not keep. */
const llama3 = { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4 };
const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 24, attention_factor: 1.25 };

describe.each<[string, JsonObject]>([
  ['llama-plain', {}],
  ['llama-linear', {}],
  ['llama-llama3', { rope_theta: 500_000, rope_scaling: { ...llama3, original_max_position_embeddings: 8192 } }],
  ['llama-yarn', {}],
  ['llama-yarn-options', { rope_scaling: { ...yarn, beta_fast: 1.5, beta_slow: 0.5 } }],
  ['qwen2', { use_sliding_window: false, sliding_window: null }],
  ['qwen3', {}],
  ['gemma2', { query_pre_attn_scalar: 16 }],
  ['gemma3', { query_pre_attn_scalar: 16, sliding_window_pattern: 6 }],
  ['phi3-long', {}],
  ['phi3-short', {}],
  ['phi3-partial', {}],
  ['gpt2', { scale_attn_by_inverse_layer_idx: false, layer_norm_epsilon: 1e-5 }],
])('%s', (name, changes) => {
  const fixture = JSON.parse(readFileSync(new URL(`forward/${name}.json`, import.meta.url), 'utf8')) as Fixture;
  const config = { ...fixture.config, ...changes };

  test('comes out of a GGUF file with the same description and weights', async () => {
    const source = drawnWeights(fixture.seed, fixture.tensors);
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, buildGguf(await convertToGguf(config, source)));
    const model = (await openModel(path, nodeFileAccess)) as GgufModel;
    expect(model.problem).toBeNull();
    expect(describeDecoder(requireGgufConfig(model), source.names)).toEqual(describeDecoder(config, source.names));

    const weights = await openWeightSource(model, kernels, () => ({ threads: 2 }));
    expect([...weights.names].sort()).toEqual([...source.names].sort());
    for (const tensor of source.names) {
      expect(weights.shapeOf(tensor)).toEqual(source.shapeOf(tensor));
      const [found, expected] = [await readAll(weights, tensor), await readAll(source, tensor)];
      // Gemma's norms went through w + 1 in f32, which may round by half of 2^-23 for w up to 1, and back.
      const bound = name.startsWith('gemma') && tensor.includes('norm') ? 2 ** -23 : 0;
      const worst = found.reduce((most, weight, index) => Math.max(most, Math.abs(weight - expected[index]!)), 0);
      expect(worst, tensor).toBeLessThanOrEqual(bound);
    }
  });
});
