import type { InferenceRuntime } from '../../core/forward/inference-runtime.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { DecoderDescription } from '../../core/model/architectures/decoder-description.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import { openModel } from '../../core/model/open-model.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { NoisyWeights } from './noisy-weights.ts';
import { openOnnxRuntime } from './onnx-runtime.ts';
import { describeWeights } from './open-forward-pass.ts';
import { openWeightSource } from './open-weight-source.ts';
import type { ScorerFacts } from './scorer.ts';

/** A model whose config and tensors fit each other. */
export interface ReadyModel {
  description: DecoderDescription;
  weights: WeightSource;
  runtime: InferenceRuntime;
  positions: ScorerFacts['positions'];
}

/**
 * Opens a model and checks its config and tensors; no weight is read yet.
 *
 * @param noiseSeed moves each weight to a neighbour in BF16 by a coin; null: takes them as they are
 * @throws as `openModel` and `describeWeights`; KernelError INFERENCE_UNAVAILABLE
 */
export async function openReadyModel(
  path: string,
  noiseSeed: number | null,
  kernels: Kernels,
  threads: number,
): Promise<ReadyModel> {
  const { weights: stored, config } = await openWeights(path, kernels, threads);
  const weights = noiseSeed === null ? stored : new NoisyWeights(stored, noiseSeed);
  const description = describeWeights(config, weights);
  const runtime = await openOnnxRuntime({ threads });
  return { description, weights, runtime, positions: positionsOf(config, description) };
}

async function openWeights(path: string, kernels: Kernels, threads: number) {
  const model = await openModel(path, nodeFileAccess);
  const lathe = model.kind === 'dfloat11' && model.openedAs === 'folder' ? await readLatheFile(model.root) : null;
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const weights = await openWeightSource(model, kernels, () => ({ threads }), shapes);
  return { weights, config: model.config };
}

/** Learned positions are a limit; others are what the config says that the model was made for. */
function positionsOf(config: JsonObject | null, { embedding }: DecoderDescription): ScorerFacts['positions'] {
  if (embedding.positions !== null) return { count: embedding.positions.count, isLimit: true };
  const count = config?.['max_position_embeddings'];
  return typeof count === 'number' ? { count, isLimit: false } : null;
}
