import { Decoder } from '../../core/forward/decoder.ts';
import type { DecoderDescription } from '../../core/model/architectures/decoder-description.ts';
import { checkDecoderTensors, decoderTensors } from '../../core/model/architectures/decoder-tensors.ts';
import { describeDecoder } from '../../core/model/architectures/describe-decoder.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { openOnnxRuntime } from './onnx-runtime.ts';

export interface ForwardPassOptions {
  /** In Hugging Face's schema; null where the model has none. */
  config: JsonObject | null;
  weights: WeightSource;
  kernels: Pick<Kernels, 'attendWindows'>;
  threads: number;
  /** Of this pass alone; below the least (`forwardMemory`) it takes that. */
  memoryLimitBytes: number;
}

/**
 * Makes a model ready to be run. Config and tensors are checked against each other; no weight is read yet.
 *
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN, MODEL_CONFIG_INVALID, MODEL_TENSOR_MISSING, MODEL_SHAPE_MISMATCH,
 * MODEL_TENSOR_UNEXPECTED; KernelError INFERENCE_UNAVAILABLE
 */
export async function openForwardPass(options: ForwardPassOptions): Promise<Decoder> {
  const { config, weights, kernels, threads, memoryLimitBytes } = options;
  const description = describeWeights(config, weights);
  const runtime = await openOnnxRuntime({ threads });
  return new Decoder({ description, weights, runtime, kernels, threads, memoryLimitBytes });
}

/**
 * The decoder that a config describes, checked against the tensors that there are.
 *
 * @throws ModelError as `describeDecoder` and `checkDecoderTensors`; MODEL_DTYPE_UNSUPPORTED
 */
export function describeWeights(config: JsonObject | null, weights: WeightSource): DecoderDescription {
  const description = describeDecoder(config, weights.names);
  checkDecoderTensors(description, weights);
  weights.requireNumbers?.(decoderTensors(description).map(({ name }) => name));
  return description;
}
