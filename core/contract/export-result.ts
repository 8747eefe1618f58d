/** The result document of `lathe export`. */

export interface ExportedTensor {
  /** As it is called in the new file. */
  name: string;
  canonicalName: string;
  shape: readonly number[];
  type: string;
  /** The type that was asked for, where its blocks do not fit the rows. */
  insteadOf?: string;
  storedBytes: number;
  bitsPerWeight: number;
  /** Of the decoded weights, against the original's; not known of a file that was taken as it was. */
  maxAbsError?: number;
  /** Root mean square of the error over that of the original's weights. */
  relativeError: number;
  /** With error feedback: what the layer's output is off by, over what rounding to nearest on the same scales gives. */
  feedbackGain?: number;
}

/** What the model was shown before it was quantized. */
export interface ExportCalibration {
  texts: string[];
  sequences: number;
  sequenceLength: number;
  seed: number;
}

export interface ExportResult {
  schema: 1;
  format: 'gguf';
  /** Such as Q4_K_M; `as quantized` of a file that was taken as it was. */
  type: string;
  method: 'rtn' | 'gptq';
  /** Null: without. */
  calibration: ExportCalibration | null;
  /** The importance matrix that was taken instead; null: none. What it does not tell of itself is null. */
  imatrix: { file: string; datasets: string[]; chunks: number | null; chunkSize: number | null } | null;
  /** Absolute. */
  path: string;
  parameters: number;
  /** Of the tensors. */
  storedBytes: number;
  /** Of the whole file. */
  fileBytes: number;
  sourceStoredBytes: number;
  /** Stored bits over all weights; over the matrices of the blocks alone. */
  bitsPerWeight: number;
  bitsPerBlockWeight: number;
  sha256: string;
  tensors: ExportedTensor[];
  notes: string[];
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
  /** The file was opened again: every tensor decoded and compared with the original, texts given to its tokenizer. */
  verified: true;
}
