/** Any tensor of an opened model as float32, one at a time, under its canonical (Hugging Face) name. */
export interface WeightSource {
  readonly names: ReadonlySet<string>;
  /** As Hugging Face stores it: linear maps [out, in] (GPT-2's [in, out]); null if there is no such tensor. */
  shapeOf(name: string): readonly number[] | null;
  /**
   * Refuses tensors that could not be read as numbers, before anything is read.
   *
   * @throws ModelError MODEL_DTYPE_UNSUPPORTED
   */
  requireNumbers?(names: readonly string[]): void;
  /**
   * Reads and decodes a tensor.
   *
   * @param out f32, row-major, exactly as many elements as the tensor has
   * @throws NumericsError NUMERICS_NOT_FINITE (names the tensor); what reading and decoding throw
   */
  read(name: string, out: Float32Array): Promise<void>;
  /** As `read` for several tensors, at less cost: for sources that store some tensors in one coded unit. */
  readTogether?(requests: readonly WeightRequest[]): Promise<void>;
}

export interface WeightRequest {
  name: string;
  out: Float32Array;
}
