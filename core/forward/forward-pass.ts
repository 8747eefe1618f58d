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
