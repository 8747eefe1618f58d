import { JobError, ModelError } from '../errors.ts';
import type { DecoderDescription, RotaryEmbedding } from '../model/architectures/decoder-description.ts';
import type { WeightSource } from '../model/weight-source.ts';
import { attentionGraph } from './attention-graph.ts';
import { embeddingGraph, finalNormGraph, headGraph } from './edge-graphs.ts';
import { logitRowsOf, planForward, type ForwardPlan } from './forward-memory.ts';
import type { ForwardPass } from './forward-pass.ts';
import type { InferenceRuntime, RuntimeTensor } from './inference-runtime.ts';
import { mlpGraph } from './mlp-graph.ts';
import type { PartGraph, WeightBinding } from './part-graph.ts';
import { rotaryTables, type RotaryTables } from './rotary-frequencies.ts';
import { SessionCache } from './session-cache.ts';
import { WeightStore, type PartWeights } from './weight-store.ts';

export interface DecoderParts {
  description: DecoderDescription;
  weights: WeightSource;
  runtime: InferenceRuntime;
  /** Of this pass alone; below the least (`forwardMemory`) it takes that. */
  memoryLimitBytes: number;
}

/** Half a block, ready to run: blocks of equal outline share their graphs' sessions. */
interface HalfBlock {
  graph: PartGraph;
  /** Null for MLP halves. */
  attention: { rotary: RotaryEmbedding | null } | null;
}

/** The walk over the parts of a decoder, one ONNX graph each: `ForwardPass` over any runtime and any source of weights. */
export class Decoder implements ForwardPass {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly #description: DecoderDescription;
  readonly #sessions: SessionCache;
  readonly #halves: readonly HalfBlock[];
  readonly #edges: { embedding: PartGraph; finalNorm: PartGraph; head: PartGraph };
  /** The plan of the window length last asked for; longer windows leave less of the limit to weights. */
  #plan: { length: number; plan: ForwardPlan } | null = null;
  #blockWeights: { bytes: number; store: WeightStore } | null = null;
  readonly #bindings: readonly (readonly WeightBinding[])[];
  readonly #source: WeightSource;
  readonly #memoryLimitBytes: number;
  readonly #edgeWeights: WeightStore;
  readonly #replaced = new Map<string, Float32Array>();
  #buffers: [Float32Array, Float32Array] = [new Float32Array(0), new Float32Array(0)];
  #logits = new Float32Array(0);

  constructor({ description, weights, runtime, memoryLimitBytes }: DecoderParts) {
    const { vocabularySize, hiddenSize, blocks } = description;
    this.vocabularySize = vocabularySize;
    this.hiddenSize = hiddenSize;
    this.#description = description;
    this.#sessions = new SessionCache(runtime);
    this.#halves = blocks.flatMap(({ attention, mlp }): HalfBlock[] => [
      { graph: attentionGraph(attention, hiddenSize), attention: { rotary: attention.rotary } },
      { graph: mlpGraph(mlp, hiddenSize), attention: null },
    ]);
    this.#edges = {
      embedding: embeddingGraph(description),
      finalNorm: finalNormGraph(description),
      head: headGraph(description),
    };
    // Both halves of a block are read together: a coded unit often holds the whole block.
    this.#bindings = blocks.map((_, block) => {
      return this.#halves.slice(2 * block, 2 * block + 2).flatMap(({ graph }) => graph.weights);
    });
    this.#source = weights;
    this.#memoryLimitBytes = memoryLimitBytes;
    this.#edgeWeights = WeightStore.resident(
      weights,
      Object.values(this.#edges).map(({ weights: bound }) => bound),
    );
  }

  batchSize(length: number): number {
    return this.#planFor(length).windowsPerWalk;
  }

  logitRows(): number {
    return logitRowsOf(this.#description);
  }

  /**
   * Runs the model with other values in place of a stored tensor's, from the next call on; null takes them back.
   *
   * @param values f32, in the stored shape; kept, not copied
   */
  replaceWeight(tensor: string, values: Float32Array | null): void {
    if (values === null) this.#replaced.delete(tensor);
    else this.#replaced.set(tensor, values);
  }

  async hiddenStates(windows: readonly Int32Array[], signal: AbortSignal): Promise<Float32Array> {
    const length = this.#checkWindows(windows);
    const rows = windows.length * length;
    let [hidden, next] = this.#takeBuffers(rows * this.hiddenSize);
    const { windowsPerRun, blockWeightBytes } = this.#planFor(length);
    const runRows = windowsPerRun * length;
    await this.#embed(windows, length, runRows, hidden);
    const blockWeights = this.#weightsWithin(blockWeightBytes);
    const positions = new PositionInputs(length);
    for (const [index, half] of this.#halves.entries()) {
      stopIfAsked(signal);
      const weights = await blockWeights.acquire(Math.floor(index / 2));
      for (let first = 0; first < windows.length; first += windowsPerRun) {
        stopIfAsked(signal);
        const count = Math.min(windowsPerRun, windows.length - first);
        const inputs = half.attention === null ? {} : positions.of(count, half.attention.rotary);
        const slice = (buffer: Float32Array) => this.#rows(buffer, first * length, count * length);
        await this.#run(half.graph, weights, { hidden: slice(hidden), ...inputs }, slice(next));
      }
      [hidden, next] = [next, hidden];
    }
    stopIfAsked(signal);
    const normWeights = await this.#edgeWeights.acquire(FINAL_NORM);
    for (let first = 0; first < rows; first += runRows) {
      const count = Math.min(runRows, rows - first);
      const inputs = { hidden: this.#rows(hidden, first, count) };
      await this.#run(this.#edges.finalNorm, normWeights, inputs, this.#rows(next, first, count));
    }
    return next.subarray(0, rows * this.hiddenSize);
  }

  async logits(hidden: Float32Array, rows: number, signal: AbortSignal): Promise<Float32Array> {
    stopIfAsked(signal);
    // ONNX Runtime multiplies a row that is alone by other code, with other roundings than one among others.
    const runRows = Math.max(2, rows);
    const input = rows === 1 ? repeated(hidden.subarray(0, this.hiddenSize)) : hidden;
    const elements = runRows * this.vocabularySize;
    if (this.#logits.length < elements) this.#logits = new Float32Array(elements);
    const data = this.#logits.subarray(0, elements);
    const weights = await this.#edgeWeights.acquire(HEAD);
    const result: RuntimeTensor = { type: 'float32', data, shape: [runRows, this.vocabularySize] };
    await this.#run(this.#edges.head, weights, { hidden: this.#rows(input, 0, runRows) }, result);
    return data.subarray(0, rows * this.vocabularySize);
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  #planFor(length: number): ForwardPlan {
    if (this.#plan?.length !== length) {
      this.#plan = { length, plan: planForward(this.#description, this.#memoryLimitBytes, length) };
    }
    return this.#plan.plan;
  }

  /** Those in memory stay there while they take no more than so many bytes. */
  #weightsWithin(bytes: number): WeightStore {
    if (this.#blockWeights === null || this.#blockWeights.bytes > bytes) {
      this.#blockWeights = { bytes, store: new WeightStore(this.#source, this.#bindings, bytes) };
    }
    return this.#blockWeights.store;
  }

  async #embed(windows: readonly Int32Array[], length: number, runRows: number, hidden: Float32Array): Promise<void> {
    const rows = windows.length * length;
    const ids = new Int32Array(rows);
    for (const [index, window] of windows.entries()) ids.set(window, index * length);
    const weights = await this.#edgeWeights.acquire(EMBEDDING);
    for (let first = 0; first < rows; first += runRows) {
      const count = Math.min(runRows, rows - first);
      const data = ids.subarray(first, first + count);
      const inputs: Record<string, RuntimeTensor> = { ids: { type: 'int32', data, shape: [count] } };
      if (this.#description.embedding.positions !== null) {
        const positions = Int32Array.from({ length: count }, (_, row) => row % length);
        inputs['positions'] = { type: 'int32', data: positions, shape: [count] };
      }
      await this.#run(this.#edges.embedding, weights, inputs, this.#rows(hidden, first, count));
    }
  }

  async #run(
    graph: PartGraph,
    weights: PartWeights,
    inputs: Record<string, RuntimeTensor>,
    result: RuntimeTensor,
  ): Promise<void> {
    const feeds = { ...inputs };
    for (const { input, tensor, shape } of graph.weights) {
      const data = this.#replaced.get(tensor) ?? weights.get(tensor) ?? new Float32Array(0);
      feeds[input] = { type: 'float32', data, shape };
    }
    const session = await this.#sessions.open(graph.model);
    await session.run(feeds, { result });
  }

  #rows(buffer: Float32Array, first: number, count: number): RuntimeTensor {
    const data = buffer.subarray(first * this.hiddenSize, (first + count) * this.hiddenSize);
    return { type: 'float32', data, shape: [count, this.hiddenSize] };
  }

  /** The two hidden states between which a walk goes to and fro. */
  #takeBuffers(elements: number): [Float32Array, Float32Array] {
    if (this.#buffers[0].length < elements) {
      this.#buffers = [new Float32Array(elements), new Float32Array(elements)];
    }
    return this.#buffers;
  }

  /** The length of all windows. */
  #checkWindows(windows: readonly Int32Array[]): number {
    const length = windows[0]?.length ?? 0;
    for (const window of windows) {
      const outside = window.find((id) => id < 0 || id >= this.vocabularySize);
      if (outside === undefined) continue;
      throw new ModelError({
        code: 'MODEL_TOKEN_OUT_OF_VOCABULARY',
        what: `Token id ${outside} is not one of the ${this.vocabularySize} that the model has embeddings for.`,
        where: { tensor: this.#description.embedding.tokens },
        whatToDo: 'Use the tokenizer that belongs to this model.',
      });
    }
    const { positions } = this.#description.embedding;
    if (positions !== null && length > positions.count) {
      throw new ModelError({
        code: 'MODEL_SEQUENCE_TOO_LONG',
        what: `A window has ${length} tokens, but the model has learned only ${positions.count} positions.`,
        where: { tensor: positions.weight },
        whatToDo: `Ask for windows of at most ${positions.count} tokens.`,
      });
    }
    return length;
  }
}

function repeated(row: Float32Array): Float32Array {
  const rows = new Float32Array(2 * row.length);
  rows.set(row);
  rows.set(row, row.length);
  return rows;
}

/** Parts of the edges' weight store. */
const EMBEDDING = 0;
const FINAL_NORM = 1;
const HEAD = 2;

/** The inputs of attention halves that say where rows stand, for windows of one length. */
class PositionInputs {
  readonly #length: number;
  readonly #tables = new Map<RotaryEmbedding, RotaryTables>();

  constructor(length: number) {
    this.#length = length;
  }

  of(windows: number, rotary: RotaryEmbedding | null): Record<string, RuntimeTensor> {
    const length = this.#length;
    const shape = BigInt64Array.from([windows, length, -1].map(BigInt));
    const inputs: Record<string, RuntimeTensor> = {
      windowShape: { type: 'int64', data: shape, shape: [3] },
      lastPositions: { type: 'int32', data: new Int32Array(windows).fill(length - 1), shape: [windows] },
      length: { type: 'int32', data: Int32Array.of(length), shape: [] },
    };
    if (rotary === null) return inputs;
    let tables = this.#tables.get(rotary);
    if (tables === undefined) {
      tables = rotaryTables(rotary, length);
      this.#tables.set(rotary, tables);
    }
    const tableShape = [length, rotary.dimensions / 2];
    inputs['cosines'] = { type: 'float32', data: tables.cosines, shape: tableShape };
    inputs['sines'] = { type: 'float32', data: tables.sines, shape: tableShape };
    return inputs;
  }
}

function stopIfAsked(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new JobError({
    code: 'JOB_CANCELLED',
    what: 'The job was stopped.',
    whatToDo: 'Start it again when you like.',
  });
}
