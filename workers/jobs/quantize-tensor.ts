/** How a tensor of a GGUF file is quantized: with what its columns weigh, or with error feedback. */
import { KernelError, NumericsError, UsageError } from '../../core/errors.ts';
import { ggmlTypeNamed, isPlainType } from '../../core/formats/gguf/ggml-types.ts';
import type { ByteRange, CallOptions, DecodeTarget, GgmlType } from '../../core/kernels/kernels.ts';
import type {
  BlockFormat,
  GptqFigures,
  QuantizeFigures,
  QuantizeKernels,
  WeightSource,
} from '../../core/kernels/quantize-kernels.ts';
import { quoted } from '../../core/quoted.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';

/** What is known of what a linear map is given. */
export interface TensorInput {
  /** f32, one a column. */
  importance: Float32Array;
  /** f32 [columns, columns]; null without. */
  gram: ByteRange | null;
}

export interface TensorToQuantize {
  canonicalName: string;
  type: GgmlType;
  source: WeightSource;
  method: 'rtn' | 'gptq';
  /** Undefined: all columns count alike. */
  input: TensorInput | undefined;
}

/** What became of a tensor. */
export interface Quantized {
  figures: QuantizeFigures;
  /** Null where there was none. */
  feedback: GptqFigures | null;
}

/**
 * With two and three bits large weights decide what a layer makes of its input; with more, weighting them costs more than it
 * gives (measured on both sample models, docs/methods/quantization.md).
 */
function spreadOf(type: GgmlType): number | null {
  return type === 'Q2_K' || type === 'Q3_K' ? 2 : null;
}

type Answer = { figures: QuantizeFigures; feedback?: GptqFigures } | { refusal: string };

/** Damping of the Gram matrix, as GPTQ's authors take it. */
const DAMPING = 0.01;

/** Takes blocks over as they are: nothing is lost. */
export async function copyBlocks(
  { source, elements }: { source: WeightSource; elements: number },
  to: ByteRange,
  kernels: QuantizeKernels,
  call: CallOptions,
): Promise<Quantized> {
  let { offsetBytes } = to;
  for (const range of source.ranges) {
    await kernels.copyRange(range, to.path, offsetBytes, call);
    offsetBytes += range.sizeBytes;
  }
  // Sums of squares are not worth a pass over the weights.
  const none = { squares: 0, squaredError: 0, weightedSquares: 0, weightedError: 0, maxAbsError: 0 };
  return { figures: { weights: elements, ...none }, feedback: null };
}

/**
 * Quantizes a tensor. Where GPTQ is asked for, a map whose inputs were measured without a Gram matrix is a fault; one of
 * whose inputs nothing is known (the embedding, the head) is rounded to nearest.
 *
 * @throws NumericsError NUMERICS_NOT_FINITE; UsageError USAGE_INVALID_ARGUMENT for a weight that the type cannot hold
 */
export async function quantizeTensor(
  { canonicalName, type, source, method, input: measured }: TensorToQuantize,
  target: DecodeTarget,
  kernels: QuantizeKernels,
  call: CallOptions,
): Promise<Quantized> {
  const input = isPlainType(type) ? undefined : measured;
  const format: BlockFormat = {
    type,
    importance: input?.importance ?? null,
    magnitudeSpread: input === undefined ? null : spreadOf(type),
  };
  const gram = method === 'gptq' ? (input?.gram ?? null) : null;
  if (method === 'gptq' && input !== undefined && gram === null) throw withoutGram(canonicalName);
  const answer: Answer = await (
    gram === null
      ? kernels.quantizeGgml(source, format, target, call)
      : kernels.gptqGgml(source, { range: gram, damping: DAMPING, isOrdered: true }, format, target, call)
  ).catch((error: unknown) => {
    throw namingTensor(error, canonicalName);
  });
  if ('figures' in answer) return { figures: answer.figures, feedback: answer.feedback ?? null };
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `Tensor ${quoted(canonicalName)} cannot be ${type}: ${answer.refusal}.`,
    where: { tensor: canonicalName },
    whatToDo: 'Keep it as BF16 or F32.',
  });
}

/** Native memory of error feedback, for each number of the Gram matrix. */
export const FEEDBACK_BYTES = 16;

/** A job's demand with what error feedback takes beside it. */
export function withFeedback(demand: Demand, tensors: readonly { shape: readonly number[] }[]): Demand {
  const widest = tensors.reduce((most, { shape }) => (shape.length > 1 ? Math.max(most, shape[1] ?? 0) : most), 0);
  return { ...demand, memoryBytes: (threads) => demand.memoryBytes(threads) + FEEDBACK_BYTES * widest * widest };
}

/** Bytes that quantizing a tensor works through. */
export function quantizedBytes({ elements, source }: { elements: number; source: WeightSource }): number {
  const { blockElements, blockBytes } = ggmlTypeNamed(source.type);
  return (elements / blockElements) * blockBytes;
}

/** Root mean square of the errors over that of the weights. */
export function relativeErrorOf({ squares, squaredError }: QuantizeFigures): number {
  return squares === 0 ? 0 : Math.sqrt(squaredError / squares);
}

/** What the layer's output is off by, over what rounding to nearest on the same scales gives. */
export function gainOf({ loss, nearestLoss }: GptqFigures): number {
  return nearestLoss === 0 ? 1 : loss / nearestLoss;
}

function withoutGram(tensor: string): KernelError {
  return new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `Tensor ${quoted(tensor)} was to be quantized by GPTQ, but it has no Gram matrix.`,
    where: { tensor },
    whatToDo: 'This is a fault in Lathe: please report it.',
  });
}

/** The kernel knows a place within the tensor, not the tensor. */
function namingTensor(error: unknown, tensor: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'NUMERICS_NOT_FINITE') return error;
  return new NumericsError({
    code: 'NUMERICS_NOT_FINITE',
    what: `Tensor ${quoted(tensor)} has a weight that is no number: ${'what' in error ? String(error.what) : error.message}`,
    where: { tensor },
    whatToDo: 'Get the model again: with such weights it does not work.',
    cause: error,
  });
}
