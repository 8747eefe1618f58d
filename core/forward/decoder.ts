import { KernelError, ModelError } from '../errors.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { DecoderDescription } from '../model/architectures/decoder-description.ts';
import type { WeightSource } from '../model/weight-source.ts';
import { stopIfAsked } from '../stop-if-asked.ts';
import { Attender } from './attend.ts';
import { BlockGraphs, type BlockHalves } from './block-graphs.ts';
import { embeddingGraph, finalNormGraph, headGraph } from './edge-graphs.ts';
import { logitRowsOf, planForward, type ForwardPlan } from './forward-memory.ts';
import type { WalkablePass, WalkOptions } from './forward-pass.ts';
import type { InferenceRuntime, RuntimeTensor } from './inference-runtime.ts';
import type { PartGraph, WeightBinding } from './part-graph.ts';
import { SessionCache } from './session-cache.ts';
import { WeightStore, type PartWeights } from './weight-store.ts';

export interface DecoderParts {
  description: DecoderDescription;
  weights: WeightSource;
  runtime: InferenceRuntime;
  kernels: Pick<Kernels, 'attendWindows'>;
  threads: number;
  /** Of this pass alone; below the least (`forwardMemory`) it takes that. */
  memoryLimitBytes: number;
}

/** The walk over the parts of a decoder, one ONNX graph each: `WalkablePass` over any runtime and any source of weights. */
export class Decoder implements WalkablePass {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly #description: DecoderDescription;
  readonly #sessions: SessionCache;
  readonly #blocks: readonly BlockGraphs[];
  readonly #attender: Attender;
  readonly #threads: number;
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
  readonly #scratch = new Scratch();
  #logits = new Float32Array(0);

  constructor({ description, weights, runtime, kernels, threads, memoryLimitBytes }: DecoderParts) {
    const { vocabularySize, hiddenSize, blocks } = description;
    this.vocabularySize = vocabularySize;
    this.hiddenSize = hiddenSize;
    this.#description = description;
    this.#sessions = new SessionCache(runtime);
    this.#attender = new Attender(kernels, threads);
    this.#threads = threads;
    this.#blocks = blocks.map((block) => new BlockGraphs(block, hiddenSize));
    this.#edges = {
      embedding: embeddingGraph(description),
      finalNorm: finalNormGraph(description),
      head: headGraph(description),
    };
    // Both halves of a block are read together: a coded unit often holds the whole block.
    this.#bindings = this.#blocks.map((graphs) => {
      return [graphs.projections(false), graphs.tail({ attention: true, mlp: true }, false)].flatMap((graph) => {
        return graph.weights;
      });
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

  replaceWeight(tensor: string, values: Float32Array | null): void {
    if (values === null) this.#replaced.delete(tensor);
    else this.#replaced.set(tensor, values);
  }

  hiddenStates(windows: readonly Int32Array[], signal: AbortSignal): Promise<Float32Array> {
    return this.walk(windows, {}, signal);
  }

  async walk(windows: readonly Int32Array[], options: WalkOptions, signal: AbortSignal): Promise<Float32Array> {
    const length = this.#checkWindows(windows);
    const rows = windows.length * length;
    const used = rows * this.hiddenSize;
    const { windowsPerRun, blockWeightBytes } = this.#planFor(length);
    const { start = null, end = this.#blocks.length } = options;
    let [hidden, next] = this.#takeBuffers(used);
    if (start === null) await this.#embed(windows, length, windowsPerRun * length, hidden);
    else hidden.set(checkedStart(start, used));
    const blockWeights = this.#weightsWithin(blockWeightBytes);
    for (let block = start?.block ?? 0; block < end; block++) {
      stopIfAsked(signal);
      options.onHidden?.(block, hidden.subarray(0, used));
      const halves = halvesOf(block, options);
      if (!halves.attention && !halves.mlp) continue;
      const weights = await blockWeights.acquire(block);
      for (let first = 0; first < windows.length; first += windowsPerRun) {
        stopIfAsked(signal);
        const count = Math.min(windowsPerRun, windows.length - first);
        const slice = (buffer: Float32Array) => this.#rows(buffer, first * length, count * length);
        const run = { block, halves, weights, windows: count, length, onInput: inputListener(block, options) };
        await this.#runBlock(run, slice(hidden), slice(next));
      }
      [hidden, next] = [next, hidden];
    }
    stopIfAsked(signal);
    if (options.end !== undefined) return hidden.subarray(0, used);
    await this.#normalize(hidden, next, rows, windowsPerRun * length);
    return next.subarray(0, used);
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
      this.#plan = {
        length,
        plan: planForward(this.#description, this.#memoryLimitBytes, { length, threads: this.#threads }),
      };
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

  /** The norm after the last block. */
  async #normalize(hidden: Float32Array, result: Float32Array, rows: number, runRows: number): Promise<void> {
    const weights = await this.#edgeWeights.acquire(FINAL_NORM);
    for (let first = 0; first < rows; first += runRows) {
      const count = Math.min(runRows, rows - first);
      const inputs = { hidden: this.#rows(hidden, first, count) };
      await this.#run(this.#edges.finalNorm, weights, inputs, this.#rows(result, first, count));
    }
  }

  /** One block over the windows of one run. */
  async #runBlock(run: BlockRun, hidden: RuntimeTensor, result: RuntimeTensor): Promise<void> {
    const { block, halves, weights, windows, length, onInput } = run;
    const rows = windows * length;
    const graphs = this.#blocks[block];
    const half = this.#description.blocks[block]?.attention;
    if (graphs === undefined || half === undefined) return;
    const inputs: Record<string, RuntimeTensor> = { hidden };
    if (halves.attention) {
      const projections = graphs.projections(onInput !== null);
      const projected = this.#outputsOf(projections, rows);
      await this.#runTapped(projections, weights, { hidden }, projected, rows, onInput);
      const columns = half.heads * half.headSize;
      const attended = this.#scratch.take('attended', rows * columns);
      const values = new Map(Object.entries(projected).map(([name, { data }]) => [name, data as Float32Array]));
      this.#attender.attend(half, windows, length, values, attended);
      inputs['attended'] = { type: 'float32', data: attended, shape: [rows, columns] };
    }
    await this.#runTapped(graphs.tail(halves, onInput !== null), weights, inputs, { result }, rows, onInput);
  }

  /** Memory for a graph's outputs, the same in every run. */
  #outputsOf({ outputs }: PartGraph, rows: number): Record<string, RuntimeTensor> {
    return Object.fromEntries(
      outputs.map(({ name, columns }): [string, RuntimeTensor] => {
        return [name, { type: 'float32', data: this.#scratch.take(name, rows * columns), shape: [rows, columns] }];
      }),
    );
  }

  /** Runs a graph, and hands on the inputs of its linear maps where someone listens. */
  async #runTapped(
    graph: PartGraph,
    weights: PartWeights,
    inputs: Record<string, RuntimeTensor>,
    outputs: Record<string, RuntimeTensor>,
    rows: number,
    onInput: InputListener | null,
  ): Promise<void> {
    if (onInput === null) {
      await this.#runGraph(graph, weights, inputs, outputs);
      return;
    }
    const all = { ...outputs };
    for (const [index, { output, size }] of graph.taps.entries()) {
      // They are heard before the next graph runs, so all graphs share the memory.
      const data = this.#scratch.take(`tap ${index}`, rows * size);
      all[output] = { type: 'float32', data, shape: [rows, size] };
    }
    await this.#runGraph(graph, weights, inputs, all);
    for (const { output, maps, size } of graph.taps) onInput(maps, all[output]?.data as Float32Array, size);
  }

  #run(
    graph: PartGraph,
    weights: PartWeights,
    inputs: Record<string, RuntimeTensor>,
    result: RuntimeTensor,
  ): Promise<void> {
    return this.#runGraph(graph, weights, inputs, { result });
  }

  async #runGraph(
    graph: PartGraph,
    weights: PartWeights,
    inputs: Record<string, RuntimeTensor>,
    outputs: Record<string, RuntimeTensor>,
  ): Promise<void> {
    const feeds = { ...inputs };
    for (const { input, tensor, shape } of graph.weights) {
      const data = this.#replaced.get(tensor) ?? weights.get(tensor) ?? new Float32Array(0);
      feeds[input] = { type: 'float32', data, shape };
    }
    const session = await this.#sessions.open(graph.model);
    await session.run(feeds, outputs);
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

/** What `#runBlock` is to do. */
interface BlockRun {
  block: number;
  halves: BlockHalves;
  weights: PartWeights;
  windows: number;
  length: number;
  onInput: InputListener | null;
}

type InputListener = (maps: readonly string[], rows: Float32Array, size: number) => void;

function inputListener(block: number, { onInput }: WalkOptions): InputListener | null {
  if (onInput?.isWanted(block) !== true) return null;
  return (maps, rows, size) => onInput.hear({ block, maps, rows, size });
}

function halvesOf(block: number, { isLeftOut }: WalkOptions): BlockHalves {
  return { attention: isLeftOut?.(block, 'attention') !== true, mlp: isLeftOut?.(block, 'mlp') !== true };
}

function checkedStart({ hidden }: NonNullable<WalkOptions['start']>, elements: number): Float32Array {
  if (hidden.length === elements) return hidden;
  throw new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `A walk was to start from ${hidden.length} numbers, expected ${elements}.`,
    whatToDo: 'This is a fault in Lathe: please report it.',
  });
}

/** Buffers by name, each as large as was ever asked for. */
class Scratch {
  readonly #buffers = new Map<string, Float32Array>();

  /** A view of exactly so many floats, whose content is whatever it was. */
  take(name: string, elements: number): Float32Array {
    let buffer = this.#buffers.get(name);
    if (buffer === undefined || buffer.length < elements) {
      buffer = new Float32Array(elements);
      this.#buffers.set(name, buffer);
    }
    return buffer.subarray(0, elements);
  }
}
