/**
 * The kernels that core and the engine ask for. `native-kernels` implements them in Rust.
 *
 * Tensor bytes never enter JavaScript: callers pass files, positions and names. Every long call returns a promise, works
 * off the JavaScript thread, and rejects with a `WorkbenchError` (`JOB_CANCELLED` when its signal fires, within 100 ms).
 */
import type { Dtype } from '../formats/safetensors/dtypes.ts';

/** `sizeBytes` bytes of a file, from `offsetBytes` on. */
export interface ByteRange {
  path: string;
  offsetBytes: number;
  sizeBytes: number;
}

export interface CallOptions {
  /** 1 or more; results never depend on it. */
  threads: number;
  signal?: AbortSignal | undefined;
  /** Called a few times a second with the original bytes worked through so far by this call. */
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/** SHA-256 as 64 lower-case hex digits. */
export interface FileDigest {
  sizeBytes: number;
  sha256: string;
}

/** XXH3-64 as 16 lower-case hex digits. */
export interface FileChecksum {
  sizeBytes: number;
  xxh3: string;
}

/** A SHA-256 that lives in native memory and is fed by other calls. */
export interface RunningDigest {
  hex(): string;
}

/** Where decoded bytes go. */
export type DecodeTarget =
  /** Written to these ranges of files, which exist already or are made. */
  | { kind: 'write'; ranges: ByteRange[] }
  /** Compared with what these ranges hold; `VERIFY_FAILED` at the first difference. */
  | { kind: 'compare'; ranges: ByteRange[] }
  /** Widened into memory; NUMERICS_NOT_FINITE at a NaN or an infinity. Progress and order as for files. */
  | { kind: 'floats'; dtype: FloatDtype; pieces: FloatPiece[] }
  /** Decoded for the checks alone. */
  | { kind: 'discard'; sizeBytes: number };

/** Dtypes whose tensors can be computed with. */
export type FloatDtype = 'BF16' | 'F16' | 'F32';

/** A run of weights within decoded bytes. */
export interface FloatPiece {
  elements: number;
  /** f32, exactly as many, left alone until the promise is settled; null for weights that nobody wants. */
  out: Float32Array | null;
}

export type PlaneSplit = 'bf16' | 'f16' | 'f32' | 'bytes';
export type PlaneCodec = 'raw' | 'const' | 'rans12x32' | 'huff12' | 'pal4';
export type PlaneKind = 'exp' | 'sm' | 'hi' | 'lo' | 'sm2' | 'm1' | 'm0' | 'bytes';

/** One stored blob of a split-plane tensor, as in the file's JSON (split-plane v1). */
export interface Plane {
  kind: PlaneKind;
  codec: PlaneCodec;
  /** From the end of the JSON; a multiple of 64. */
  offset: number;
  bytes: number;
  elements: number;
  /** Index of the first element; above 0 only in planes over 2^31 elements. */
  first: number;
  /** XXH3-64 of the blob, 16 lower-case hex digits. */
  xxh3: string;
  /** rans12x32: [symbol, frequency]; huff12: [symbol, length]; pal4: 16 x [symbol, 0]; else absent. */
  book?: [number, number][];
}

export interface SplitPlaneTensor {
  planes: Plane[];
  /** First free byte after the last blob, from the end of the JSON. */
  end: number;
  /** Of the original bytes. */
  sha256: string;
}

/** The measured unit: its code, and every size of the file that will hold it. Kept in native memory. */
export interface Dfloat11Plan {
  readonly elements: number;
  readonly streamBytes: number;
  readonly blocks: number;
  /** u32 entries of `output_positions`. */
  readonly positionEntries: number;
  /** Rows of `luts`, the length row included. */
  readonly lutRows: number;
  readonly longestCodeBits: number;
  /** Whether the official compressor would write the same bytes. */
  readonly isOfficial: boolean;
  /** How the code was made: `official`, or which exception applied. */
  readonly origin: string;
  /** Of the five stored fields (`split_positions` not counted). */
  readonly storedBytes: number;
}

/** Where the fields of a DFloat11 unit lie. */
export interface Dfloat11Fields {
  luts: ByteRange;
  encodedExponent: ByteRange;
  signMantissa: ByteRange;
  outputPositions: ByteRange;
  gaps: ByteRange;
}

export interface TensorStatistics {
  elements: number;
  /** Null for dtypes without an exponent field. */
  exponentHistogram: number[] | null;
  exponentEntropyBits: number | null;
  /** Of the finite values; null if there are none, or the dtype's values are not numbers to Lathe. */
  min: number | null;
  max: number | null;
  rms: number | null;
  zeroFraction: number | null;
  nanCount: number;
  infiniteCount: number;
  /** Stored bytes that split-plane is predicted to need for this tensor (within 0.1 %). */
  splitPlaneBytes: number;
}

/** A type of GGUF tensors that can be decoded; its file is one run of blocks. */
export type GgmlType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS';

/** A tensor of a GGUF file, and what is to be made of its rows. */
export interface GgmlTensor {
  source: ByteRange;
  type: GgmlType;
  /** Weights of a stored row: whole blocks, unless `order` is `stored`. */
  columns: number;
  /** `even-then-odd`: within each of `heads` equal groups of rows, the even rows first; `transposed`: columns become rows. */
  order: 'stored' | 'even-then-odd' | 'transposed';
  heads: number;
  /** Added to each weight, in f32. */
  add: number;
}

/** Sums over a tensor's weights, and over what rounding changed. NaN and infinities are counted, nothing more. */
export interface GgmlFigures {
  /** Of the finite weights; null if there are none. */
  min: number | null;
  max: number | null;
  /** Sum of squares. */
  squares: number;
  zeros: number;
  nanCount: number;
  infiniteCount: number;
  /** Infinite where a finite weight is too large for the dtype. */
  maxAbsError: number;
  /** Sum of the squares of the errors. */
  squaredError: number;
}

/** The figures of each column of a linear map's inputs. */
export interface ColumnStatistics {
  rows: number;
  /** Of a column's numbers, and of their squares. */
  sums: Float64Array;
  squares: Float64Array;
  /** The greatest magnitude. */
  greatest: Float32Array;
}

/**
 * Statistics of a linear map's inputs, in native memory. Neither threads nor the pieces in which rows come change a bit of
 * them.
 */
export interface InputStatistics {
  /**
   * Adds rows. Synchronous, for worker threads.
   *
   * @param rows f32 [count, columns], row-major
   * @throws NumericsError NUMERICS_NOT_FINITE, naming row and column; then nothing was added
   */
  feed(rows: Float32Array, threads: number): void;
  /** Of all rows so far. */
  columns(): ColumnStatistics;
  /**
   * The Gram matrix of all rows, Σ xᵀx: f32 [columns, columns], little-endian, into a range of exactly that size. No row may
   * be added afterwards.
   */
  writeGram(range: ByteRange, options: CallOptions): Promise<void>;
  /** Frees the memory; to be called once nothing is asked of it any more. */
  close(): void;
}

/** Attention over windows of equal length; rows are window after window, position after position. */
export interface AttentionShape {
  windows: number;
  /** Positions of a window. */
  length: number;
  /** Of queries; a multiple of `keyHeads`, each of which serves as many consecutive ones. */
  heads: number;
  /** Of keys and values. */
  keyHeads: number;
  headSize: number;
  /** Scores are q · k times this. */
  scale: number;
  /** Scores s become c · tanh(s / c). */
  softCap: number | null;
  /** A query sees so many positions, its own included; null: all before it. */
  window: number | null;
  /** Of a head: its first dimensions turn in pairs (i, i + half of them); 0: none. */
  rotaryDimensions: number;
  /** Numbers from a row's first query (key, value) to the next row's. */
  queryStride: number;
  keyStride: number;
  valueStride: number;
}

/** f32, from the first row's first number on: matrices of their own, or parts of a wider one. */
export interface AttentionInputs {
  query: Float32Array;
  key: Float32Array;
  value: Float32Array;
}

/** What rows of logits say; an entry a row. The last three are null without a reference. In nats. */
export interface VocabularyScores {
  /** Negative log-likelihood of the target; 0 or more. */
  nll: Float64Array;
  /** The token of the greatest logit, the first of equals. */
  argmax: Int32Array;
  /** How many tokens come before the target: greater logits, and equal ones of lower ids. 0 where it is the argmax. */
  rank: Int32Array;
  /** D(reference || model); 0 or more, exactly 0 for equal logits. */
  kl: Float64Array | null;
  referenceNll: Float64Array | null;
  referenceArgmax: Int32Array | null;
}

export interface KernelDescription {
  version: string;
  /** Every instruction-set body that this processor can run. */
  backends: string[];
  /** The one in use. */
  backend: string;
  /** Processor features found that kernels make use of, as compilers name them: `avx2`, `avx512f`, `sha`, `neon` … */
  features: string[];
}

export interface FileLock {
  release(): void;
}

export interface Kernels {
  describe(): KernelDescription;
  /** Bound of the native memory that any one call takes at this many threads, whatever its tensors' sizes. */
  memoryBytes(threads: number): number;
  /** Fails at once with `JOB_OUTPUT_BUSY` if another process holds it; released when this process ends, however. */
  lockFile(path: string): FileLock;
  /** Bytes that can still be written to the disk of an existing path; null where the system does not tell. */
  freeDiskBytes(path: string): number | null;
  createDigest(): RunningDigest;
  /** Feeds a range of a file to a running digest. */
  feedDigest(digest: RunningDigest, range: ByteRange, options: CallOptions): Promise<void>;
  digestFile(path: string, options: CallOptions): Promise<FileDigest>;
  /** In the files' order; two files take little longer than one on each thread. Progress counts all of them. */
  digestFiles(paths: string[], options: CallOptions): Promise<FileDigest[]>;
  /** Ten times as fast as a digest: finds every damage that happens by itself, but proves nothing against a forger. */
  checksumFile(path: string, options: CallOptions): Promise<FileChecksum>;
  /** Copies and syncs a whole file; the digest is of the bytes read. */
  copyFile(from: string, to: string, options: CallOptions): Promise<FileDigest>;
  /** Copies a range into an existing (or new) file at a position. */
  copyRange(from: ByteRange, to: string, toOffsetBytes: number, options: CallOptions): Promise<void>;
  /** `VERIFY_FAILED`, naming file and offset, at the first difference. */
  compareRanges(a: ByteRange, b: ByteRange, options: CallOptions): Promise<void>;
  /** Returns once a file's bytes are on the disk. */
  syncFile(path: string, options: CallOptions): Promise<void>;

  /**
   * Decodes a tensor into `out`, which has exactly its number of weights and is left alone until the promise is settled.
   * NUMERICS_NOT_FINITE at a NaN or an infinity.
   */
  dequantizeGgml(tensor: GgmlTensor, out: Float32Array, options: CallOptions): Promise<void>;
  /** Decodes a tensor and rounds it to a dtype (to nearest, ties to even). Counts stored bytes as its progress. */
  convertGgml(
    tensor: GgmlTensor,
    dtype: 'BF16' | 'F16' | 'F32',
    target: DecodeTarget,
    options: CallOptions,
  ): Promise<GgmlFigures>;

  /**
   * Decodes a tensor and compares it with a plain one: sums are the original's, errors how far the decoded weights are from
   * it.
   */
  compareGgml(tensor: GgmlTensor, dtype: FloatDtype, original: ByteRange, options: CallOptions): Promise<GgmlFigures>;

  tensorStatistics(source: ByteRange[], dtype: Dtype, options: CallOptions): Promise<TensorStatistics>;

  /** `null` with the reason where DFloat11 cannot hold these weights: the caller leaves them plain. */
  measureDfloat11(source: ByteRange[], options: CallOptions): Promise<{ plan: Dfloat11Plan } | { refusal: string }>;
  /** The stored bytes (five fields) of a unit with this exponent histogram, or the reason why it must stay plain. */
  predictDfloat11(exponentHistogram: number[]): { storedBytes: number } | { refusal: string };
  encodeDfloat11(source: ByteRange[], plan: Dfloat11Plan, fields: Dfloat11Fields, options: CallOptions): Promise<void>;
  decodeDfloat11(fields: Dfloat11Fields, elements: number, target: DecodeTarget, options: CallOptions): Promise<void>;

  encodeSplitPlane(
    source: ByteRange[],
    split: PlaneSplit,
    coder: PlaneCodec | 'smallest',
    output: { path: string; dataStart: number; offset: number },
    /** Also fed with the source's bytes, in order. */
    alsoDigest: RunningDigest | null,
    options: CallOptions,
  ): Promise<SplitPlaneTensor>;
  /** Returns the SHA-256 of the decoded bytes if `withSha256`, which costs time, else null. */
  decodeSplitPlane(
    input: { path: string; dataStart: number },
    planes: Plane[],
    split: PlaneSplit,
    sizeBytes: number,
    target: DecodeTarget,
    withSha256: boolean,
    options: CallOptions,
  ): Promise<string | null>;

  /**
   * Begins statistics of inputs of so many columns, 1 to 32,768. Takes 8 bytes for each pair of columns with the Gram matrix,
   * and 1 KiB a column.
   *
   * @throws ResourceError RESOURCE_OUT_OF_MEMORY
   */
  createInputStatistics(columns: number, withGram: boolean): InputStatistics;

  /**
   * Causal attention over windows of equal length. Synchronous, for worker threads: the numbers are in memory already.
   * NaN reaches those rows of `out` that see it, and no others.
   *
   * @param tables rotary, f32 [length or more, rotaryDimensions / 2] each; empty where nothing turns
   * @param out f32 [windows * length, heads * headSize]; filled. Its bits depend neither on `threads` nor on other windows
   */
  attendWindows(
    shape: AttentionShape,
    inputs: AttentionInputs,
    tables: { cosines: Float32Array; sines: Float32Array },
    out: Float32Array,
    threads: number,
  ): void;

  /**
   * Scores rows of logits over the whole vocabulary. Synchronous, for worker threads: the logits are in memory already.
   *
   * @param logits f32 [rows, vocabularySize], in nats; `reference` the same of another model
   * @param targets the token that followed, one a row
   * @throws NumericsError NUMERICS_NOT_FINITE, naming row and token
   */
  scoreVocabulary(
    logits: Float32Array,
    reference: Float32Array | null,
    vocabularySize: number,
    targets: Int32Array,
    threads: number,
  ): VocabularyScores;
}
