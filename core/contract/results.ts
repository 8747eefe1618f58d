/**
 * What each command answers, as it stands in `--json`: documented data that terminal, window and scripts share.
 *
 * Source: the contract, section 2 ("Commands") and 3 ("Sizes", "Names"). `schema` is 1 in all of them.
 */
import type { SerializedError } from '../errors.ts';
import type { QuantizationFacts, RecipeMetrics } from './lathe-file.ts';

export interface InspectedTensor {
  /** As stored in the file at hand. */
  name: string;
  /** Hugging Face's name. */
  canonicalName: string;
  /** As in safetensors: BF16, F32, F8_E4M3 …; of a compressed tensor what it decodes to; in a GGUF file its GGML type. */
  dtype: string;
  /** [out, in]; empty for a 0-d tensor. */
  shape: number[];
  /** Of a unit that several tensors share, its share by element count. */
  storedBytes: number;
  /** Relative to the model's folder. */
  file: string;
  /** Of this tensor alone; 0 for an empty one. */
  bitsPerWeight: number;
  /** How it is stored: plain, dfloat11, split-plane, ggml (blocks). */
  method: string;
  /** The rest only with statistics; null where the dtype or an empty tensor has none. In bits, 0 to 8. */
  exponentEntropyBits?: number | null;
  /** Of the finite values, as are `max` and `rms` (root mean square). */
  min?: number | null;
  max?: number | null;
  rms?: number | null;
  /** 0 to 1. */
  zeroFraction?: number | null;
  nanCount?: number;
  infiniteCount?: number;
  /** With texts: what the linear map of this matrix is given; null for a tensor that is none. */
  input?: InspectedInput | null;
}

/** As `lathe calibrate` measures it. */
export interface InspectedInput {
  /** Root mean square, and the greatest magnitude. */
  rms: number;
  greatest: number;
  /** The largest column's root mean square over the median one. */
  outlierRatio: number;
  outlierColumns: number;
}

export interface InspectResult {
  schema: 1;
  format: 'safetensors' | 'dfloat11' | 'split-plane' | 'gguf';
  architecture: string | null;
  /** Elements of all tensors, tied ones once. */
  parameters: number;
  /** Of the tensors' payload; headers are not counted. */
  storedBytes: number;
  /** Of all files. */
  fileBytes: number;
  bitsPerWeight: number;
  tensors: InspectedTensor[];
  /** Whole sentences that a user may want to know. */
  notes: string[];
  /** With texts: the windows that the model was shown. */
  calibration?: {
    sequences: number;
    sequenceLength: number;
    seed: number;
    cachedBlocks: number;
    measuredBlocks: number;
  };
  /** With statistics: stored bytes that each codec would need for the whole model; null if it cannot hold the model. */
  losslessEstimate?: { dfloat11Bytes: number | null; splitPlaneBytes: number };
}

export interface CompressedTensor {
  name: string;
  canonicalName: string;
  dtype: string;
  shape: number[];
  method: string;
  storedBytes: number;
  bitsPerWeight: number;
  /** Relative root-mean-square error; 0 for lossless methods. */
  error: number;
  file: string;
}

/** What `--dry-run` of `compress` answers, and `estimate`. */
export interface EstimateResult {
  schema: 1;
  /** Of the output's payload. */
  storedBytes: number;
  /** The bounds of `storedBytes`; equal where the size follows from the headers alone. */
  storedBytesLow: number;
  storedBytesHigh: number;
  sourceStoredBytes: number;
  parameters: number;
  bitsPerWeight: number;
  /** Of the whole process. */
  peakMemoryBytes: number;
  secondsLow: number;
  secondsHigh: number;
  /** What is unsupported and why, in whole sentences; a run would leave those parts plain, or refuse (`blocking`). */
  problems: { message: string; blocking: boolean }[];
  /** True where a run would stop before it writes anything. */
  wouldFail: boolean;
  /** What `lathe evaluate` would take of memory, for windows of `context` tokens; or why it cannot run the model. */
  evaluation:
    | { context: number; peakMemoryBytes: number; leastMemoryBytes: number; problem: null }
    | { context: number; peakMemoryBytes: null; leastMemoryBytes: null; problem: string };
}

export interface CompressResult {
  schema: 1;
  /** Absolute. */
  output: string;
  runId: string;
  parameters: number;
  storedBytes: number;
  /** Of all files of the output. */
  fileBytes: number;
  sourceStoredBytes: number;
  sourceFileBytes: number;
  bitsPerWeight: number;
  /** Wall clock of this process's part of the run, verification included. */
  seconds: number;
  cpuSeconds: number;
  /** As the kernel counts it, for the whole process. */
  peakRssBytes: number;
  tensors: CompressedTensor[];
  /** Of `model.gguf`; only where weights were quantized. */
  modelFileBytes?: number;
  /** Stored bits over the matrices of the decoder's blocks; only where weights were quantized. */
  bitsPerBlockWeight?: number;
  /** What the weights were quantized by; only where they were. */
  quantization?: QuantizationFacts;
  /** What the recipe's evaluation measured; one entry a text. */
  metrics?: RecipeMetrics[];
  /** Whether a text that was measured shares paragraphs with one that the model was calibrated on. */
  overlap?: boolean;
  notes: string[];
  /** Whether this run went on from an interrupted one. */
  resumed: boolean;
  verified: true;
  /** Present where a limit of the recipe was missed; the output is kept. */
  error?: SerializedError;
}

export interface RestoredFile {
  /** Relative to the output. */
  name: string;
  bytes: number;
  sha256: string;
}

export interface RestoreResult {
  schema: 1;
  output: string;
  files: RestoredFile[];
  lossless: boolean;
  /**
   * Whether every file has the original's own bytes: read back, weight files by their XXH3-64 (`sha256` then is the
   * original's), other files by SHA-256; false where the original's files are not known.
   */
  filesIdentical: boolean;
  /** Of a GGUF file: what the weights were rounded to, and what that changed in what the file's blocks decode to. */
  rounding?: {
    dtype: 'BF16' | 'F16' | 'F32';
    maxAbsError: number;
    /** Root mean square of the errors over that of the weights. */
    relativeError: number;
  };
  notes: string[];
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
}

export interface VerifiedTensor {
  name: string;
  ok: boolean;
  /**
   * Compared bit by bit with the original (`--against`), or by the original's own SHA-256, or decoded from files that
   * are, by SHA-256, those that were compared when written; null where there is nothing to compare with.
   */
  bitExact: boolean | null;
  /** Of a GGUF file's tensors, against the original: the greatest difference, and the relative one (root mean square). */
  maxAbsError?: number;
  relativeError?: number;
  /** What went wrong, where something did. */
  problem?: string;
}

export interface VerifyResult {
  schema: 1;
  ok: boolean;
  format: string;
  /** Whether the original was at hand. */
  against: string | null;
  tensors: VerifiedTensor[];
  /** `ok` is null for files whose SHA-256 nobody recorded. */
  files: { name: string; bytes: number; sha256: string; ok: boolean | null }[];
  notes: string[];
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
  /** Present when `ok` is false. */
  error?: SerializedError;
}

export interface DoctorResult {
  schema: 1;
  version: string;
  cpu: { model: string; cores: number; architecture: string; features: string[] };
  kernels: { version: string; backend: string; backends: string[] };
  gpus: { name: string }[];
  providers: string[];
  limits: { memoryBytes: number; freeMemoryBytes: number; threads: number; openFiles: number | null };
  versions: { node: string; platform: string; v8: string };
  /** Where runs and settings live. */
  home: string;
  problems: { message: string; whatToDo: string }[];
}
