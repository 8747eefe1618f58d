/** A tensor at the border of the runtime: plain memory, row-major. */
export type RuntimeTensor =
  | { type: 'float32'; data: Float32Array; shape: readonly number[] }
  | { type: 'int32'; data: Int32Array; shape: readonly number[] }
  | { type: 'int64'; data: BigInt64Array; shape: readonly number[] };

/** A graph that is ready to run. */
export interface RuntimeSession {
  /**
   * Runs the graph once.
   *
   * @param outputs memory of the right type and shape for every output; filled, without a copy
   * @throws ResourceError RESOURCE_OUT_OF_MEMORY; KernelError BUG_INFERENCE
   */
  run(inputs: Record<string, RuntimeTensor>, outputs: Record<string, RuntimeTensor>): Promise<void>;
  close(): Promise<void>;
}

/** What runs ONNX models: `workers/inference` implements it with ONNX Runtime. */
export interface InferenceRuntime {
  /** Which one it is, as in "onnxruntime 1.30.0": another one may round otherwise. */
  readonly version: string;
  /**
   * @param model an ONNX model's bytes
   * @throws KernelError BUG_INFERENCE (the graph is not one that the runtime takes)
   */
  open(model: Uint8Array): Promise<RuntimeSession>;
}
