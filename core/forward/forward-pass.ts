/** The inputs of some linear maps, of the windows of one run. */
export interface MapInputs {
  block: number;
  /** The modules that share this input, such as the three of queries, keys and values. */
  maps: readonly string[];
  /** f32 [count, size], row-major; to be read before the listener returns. */
  rows: Float32Array;
  size: number;
}

/** What else than a plain pass a walk over the blocks may be. None of it needs a new session of the runtime. */
export interface WalkOptions {
  /** Begins right before this block with these hidden states, f32 [rows, hiddenSize] (copied), in place of the embeddings. */
  start?: { block: number; hidden: Float32Array };
  /** Ends right before this block, without the last norm: the answer is what `start` takes. Default: all blocks, and the norm. */
  end?: number;
  /** Halves that are left out: hidden states pass them by unchanged. */
  isLeftOut?: (block: number, half: 'attention' | 'mlp') => boolean;
  /** Hears the hidden states before each block, f32 [rows, hiddenSize], of all windows; to be read before it returns. */
  onHidden?: (block: number, hidden: Float32Array) => void;
  /** Hears the inputs of all linear maps of the blocks that it wants, once for each run of some windows. */
  onInput?: { isWanted: (block: number) => boolean; hear: (inputs: MapInputs) => void };
}

/** A decoder model ready to be run: weights at hand or one block ahead, sessions built. One call at a time. */
export interface ForwardPass {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  /**
   * The final hidden states (after the last norm, before the head) of windows of equal length.
   *
   * @param windows token ids, each of `length` ids from 0 to `vocabularySize` - 1
   * @returns f32 [windows.length * length, hiddenSize], row-major, windows one after the other; holds until the next call
   * of this function
   * @throws JobError JOB_CANCELLED within one block part of the signal; ModelError MODEL_TOKEN_OUT_OF_VOCABULARY;
   * NumericsError NUMERICS_NOT_FINITE (names the tensor); what the weight source throws
   */
  hiddenStates(windows: readonly Int32Array[], signal: AbortSignal): Promise<Float32Array>;
  /**
   * The logits of some rows, head bias and soft cap applied.
   *
   * @param hidden f32 [rows, hiddenSize], as from `hiddenStates`
   * @returns f32 [rows, vocabularySize]; holds until the next call of this function
   */
  logits(hidden: Float32Array, rows: number, signal: AbortSignal): Promise<Float32Array>;
  /** How many windows of this length one call of `hiddenStates` gets, so that memory suffices and the cores are full. */
  batchSize(length: number): number;
  /** How many rows one call of `logits` gets at most. */
  logitRows(): number;
  close(): Promise<void>;
}

/** A forward pass that methods look into and change: for calibration, searches, and measuring what a part is worth. */
export interface WalkablePass extends ForwardPass {
  /**
   * As `hiddenStates`, with parts left out, or listened to.
   *
   * @throws as `hiddenStates`; what a listener throws
   */
  walk(windows: readonly Int32Array[], options: WalkOptions, signal: AbortSignal): Promise<Float32Array>;
  /**
   * Runs the model with other values in place of a stored tensor's, from the next call on; null takes them back.
   *
   * @param values f32, in the stored shape; kept, not copied
   */
  replaceWeight(tensor: string, values: Float32Array | null): void;
}
