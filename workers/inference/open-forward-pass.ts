import { ModelError } from '../../core/errors.ts';
import { Decoder } from '../../core/forward/decoder.ts';
import type { AttentionHalf, DecoderDescription } from '../../core/model/architectures/decoder-description.ts';
import { checkDecoderTensors, decoderTensors } from '../../core/model/architectures/decoder-tensors.ts';
import { describeDecoder } from '../../core/model/architectures/describe-decoder.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { openOnnxRuntime } from './onnx-runtime.ts';

export interface ForwardPassOptions {
  /** In Hugging Face's schema; null where the model has none. */
  config: JsonObject | null;
  weights: WeightSource;
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
  const { config, weights, threads, memoryLimitBytes } = options;
  const description = describeWeights(config, weights);
  return new Decoder({ description, weights, runtime: await openOnnxRuntime({ threads }), memoryLimitBytes });
}

/**
 * The decoder that a config describes, checked against the tensors that there are.
 *
 * @throws ModelError as `describeDecoder` and `checkDecoderTensors`; MODEL_DTYPE_UNSUPPORTED
 */
export function describeWeights(config: JsonObject | null, weights: WeightSource): DecoderDescription {
  const description = describeDecoder(config, weights.names);
  checkDecoderTensors(description, weights);
  requireHeadSizes(description);
  weights.requireNumbers?.(decoderTensors(description).map(({ name }) => name));
  return description;
}

/** ONNX Runtime's GroupQueryAttention (1.30) takes heads of a multiple of 16 dimensions where it turns them, else of 8. */
function requireHeadSizes({ family, blocks }: DecoderDescription): void {
  const stepOf = ({ rotary }: AttentionHalf) => (rotary === null ? 8 : 16);
  const odd = blocks.find(({ attention }) => attention.headSize % stepOf(attention) !== 0)?.attention;
  if (odd === undefined) return;
  throw new ModelError({
    code: 'MODEL_ARCHITECTURE_UNKNOWN',
    what: `The heads of this ${family} model have ${odd.headSize} dimensions; Lathe runs such models if that is a multiple of ${stepOf(odd)}.`,
    where: { file: 'config.json' },
    whatToDo:
      'Use the commands that do not run the model: inspect, compress without loss, restore, verify and estimate.',
  });
}
