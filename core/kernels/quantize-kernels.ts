/**
 * The kernels that quantize weights, with all the others: what `native-kernels` loads.
 */
import type { ByteRange, CallOptions, DecodeTarget, GgmlType, Kernels } from './kernels.ts';

/** A matrix in files: ranges are one run of bytes, rows follow each other. */
export interface WeightSource {
  ranges: ByteRange[];
  /** BF16, F16, F32, or a block format whose weights are quantized anew. */
  type: GgmlType;
  /** Weights of a row. */
  columns: number;
  /** `halves-to-pairs`: within each of `heads` equal groups of rows, the order that llama's GGUF files have for q and k. */
  order: 'stored' | 'halves-to-pairs';
  heads: number;
}

/** How rows become blocks. */
export interface BlockFormat {
  /**
   * Rows are whole blocks of it, else BUG_KERNEL_ARGUMENT: the caller picks what to fall back to. F32, F16 or BF16 (not for
   * GPTQ): weights are rounded, to nearest, ties to even.
   */
  type: GgmlType;
  /**
   * f32, one a column, each >= 0: what an error's square counts for. Null: all alike, and Q4_0, Q4_1, Q5_0 and Q5_1 are then
   * plain rounding, byte for byte what ggml writes. Left alone until the promise is settled.
   */
  importance: Float32Array | null;
  /**
   * Null: importance alone. A number: importance times √(number · mean square of the block + weight²), as llama.cpp's
   * quantizer has it with 1 or 2.
   */
  magnitudeSpread: number | null;
}

/** Sums over a tensor's weights, and over what became of them. */
export interface QuantizeFigures {
  weights: number;
  squares: number;
  squaredError: number;
  /** Sum of importance · weight²; `squares` without importance. */
  weightedSquares: number;
  /** Sum of importance · error²; `squaredError` without importance. */
  weightedError: number;
  maxAbsError: number;
}

/** The inputs of a layer, as they weigh the errors of its columns. */
export interface GramSource {
  /** f32 [columns, columns], symmetric, little-endian; in any unit. */
  range: ByteRange;
  /** Added to the diagonal as a multiple of its mean, 0 to 1 (0.01 is usual); raised where that does not do. */
  damping: number;
  /** Whether columns of greatest diagonal are rounded first ("act-order"); scales do not depend on it. */
  isOrdered: boolean;
}

/** What error feedback was worth. */
export interface GptqFigures {
  /** Σ over rows of eᵀHe, H as damped: what the layer's output is off by. */
  loss: number;
  /** The same of rounding to nearest on the same scales. */
  nearestLoss: number;
  /** Rows where feedback would have lost more, so that their nearest codes were kept. */
  nearestRows: number;
  /** What was added to the diagonal in the end. */
  damping: number;
  /** Columns that no input reached: they were rounded to nearest. */
  deadColumns: number;
}

export interface QuantizeKernels extends Kernels {
  /**
   * Quantizes a tensor into blocks, which take exactly the target's bytes; each is decoded again for the figures. The same
   * bytes at any thread count and on any processor. Counts the source's bytes as its progress.
   *
   * @returns the figures, or the reason why the format cannot hold these weights (one too large for a half, named)
   * @throws NumericsError NUMERICS_NOT_FINITE, naming the weight's place in the order asked for
   */
  quantizeGgml(
    source: WeightSource,
    format: BlockFormat,
    target: DecodeTarget,
    options: CallOptions,
  ): Promise<{ figures: QuantizeFigures } | { refusal: string }>;

  /**
   * Rounds a tensor onto a block format's grids with GPTQ's error feedback. The same bytes at any thread count; they may
   * differ between kinds of processors. Counts four bytes a weight as its progress. Native memory: 16 bytes for each number
   * of the Gram matrix, beside what `memoryBytes` says.
   *
   * @throws NumericsError NUMERICS_NOT_FINITE at a weight or a number of the Gram matrix, named
   * @throws FormatError FORMAT_CODED_DATA_MALFORMED where the matrix cannot be a Gram matrix
   */
  gptqGgml(
    source: WeightSource,
    inputs: GramSource,
    format: BlockFormat,
    target: DecodeTarget,
    options: CallOptions,
  ): Promise<{ figures: QuantizeFigures; feedback: GptqFigures } | { refusal: string }>;
}
