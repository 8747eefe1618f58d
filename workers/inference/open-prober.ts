import { probeBytes, probedRows } from '../../core/calibration/probe-memory.ts';
import { KernelError } from '../../core/errors.ts';
import { Decoder } from '../../core/forward/decoder.ts';
import { forwardMemory, planForward } from '../../core/forward/forward-memory.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { withModelNamed } from '../engine/name-model.ts';
import { openReadyModel, type ReadyModel } from './open-ready-model.ts';
import type { Probe, Prober } from './prober.ts';

/**
 * Opens a prober in this thread, which its walks then hold: call it from a worker thread.
 *
 * @throws as `openModel` and `describeWeights`
 */
export async function openProber(
  { model, threads }: { model: string; threads: number },
  kernels: Kernels,
): Promise<Prober> {
  const ready = await withModelNamed(model, () => openReadyModel(model, null, kernels, threads));
  return new ReplacingProber(ready, kernels, threads);
}

class ReplacingProber implements Prober {
  readonly #ready: ReadyModel;
  readonly #kernels: Kernels;
  readonly #threads: number;
  #pass: Decoder | null = null;
  #windows: readonly Int32Array[] = [];
  /** Of all windows, right before block `#at`. */
  #hidden = new Float32Array(0);
  #at = 0;
  /** After which rows predictions are scored, and what the model as it is predicts there. */
  #rows: number[] = [];
  #logits = new Float32Array(0);

  constructor(ready: ReadyModel, kernels: Kernels, threads: number) {
    this.#ready = ready;
    this.#kernels = kernels;
    this.#threads = threads;
  }

  get facts() {
    const { description, positions } = this.#ready;
    return { vocabularySize: description.vocabularySize, positions };
  }

  reserve({ windows, length, largestTensor, processBytes, limitBytes }: Parameters<Prober['reserve']>[0]) {
    const { description } = this.#ready;
    const shape = { length, threads: this.#threads };
    const beside = processBytes + probeBytes(description, { windows, length, largestTensor });
    const { leastBytes, fullBytes } = forwardMemory(description, shape);
    const memoryLimitBytes = Math.min(fullBytes, Math.max(leastBytes, limitBytes - beside));
    this.#pass = new Decoder({ ...this.#ready, kernels: this.#kernels, threads: this.#threads, memoryLimitBytes });
    return Promise.resolve({
      peakMemoryBytes: beside + planForward(description, memoryLimitBytes, shape).peakBytes,
      leastMemoryBytes: beside + leastBytes,
    });
  }

  async begin(windows: readonly Int32Array[], signal: AbortSignal): Promise<void> {
    const length = windows[0]?.length ?? 0;
    this.#windows = windows;
    this.#at = 0;
    this.#rows = probedRows(windows.length, length);
    this.#hidden = new Float32Array(windows.length * length * this.#ready.description.hiddenSize);
    await this.#forBatches(async (batch, hidden, _, pass) => {
      hidden.set(await pass.walk(batch, { end: 0 }, signal));
    });
    const states = await this.#finalStates(signal);
    const { vocabularySize, hiddenSize } = this.#ready.description;
    this.#logits = new Float32Array(this.#rows.length * vocabularySize);
    for (const [first, count] of this.#slices()) {
      const slice = states.subarray(first * hiddenSize, (first + count) * hiddenSize);
      this.#logits.set(await this.#required().logits(slice, count, signal), first * vocabularySize);
    }
  }

  async probe({ tensor, block, stored, elements }: Probe, signal: AbortSignal): Promise<number> {
    await this.#advanceTo(block ?? this.#at, signal);
    const pass = this.#required();
    const values = new Float32Array(elements);
    await this.#kernels.dequantizeGgml(stored, values, { threads: this.#threads, signal });
    pass.replaceWeight(tensor, values);
    try {
      return await this.#divergence(await this.#finalStates(signal, block === null), signal);
    } finally {
      pass.replaceWeight(tensor, null);
    }
  }

  async close(): Promise<void> {
    await this.#pass?.close();
  }

  async #advanceTo(block: number, signal: AbortSignal): Promise<void> {
    if (block <= this.#at) return;
    await this.#forBatches(async (batch, hidden, _, pass) => {
      hidden.set(await pass.walk(batch, { start: { block: this.#at, hidden }, end: block }, signal));
    });
    this.#at = block;
  }

  /** The last hidden states of the scored rows, from where the walk is or, for other embeddings, from the beginning. */
  async #finalStates(signal: AbortSignal, isFromStart = false): Promise<Float32Array> {
    const { hiddenSize } = this.#ready.description;
    const states = new Float32Array(this.#rows.length * hiddenSize);
    let next = 0;
    await this.#forBatches(async (batch, hidden, firstRow, pass) => {
      const start = isFromStart ? {} : { start: { block: this.#at, hidden } };
      const final = await pass.walk(batch, start, signal);
      const endRow = firstRow + final.length / hiddenSize;
      for (let row = this.#rows[next]; row !== undefined && row < endRow; row = this.#rows[next]) {
        const from = (row - firstRow) * hiddenSize;
        states.set(final.subarray(from, from + hiddenSize), next * hiddenSize);
        next += 1;
      }
    });
    return states;
  }

  async #divergence(states: Float32Array, signal: AbortSignal): Promise<number> {
    const { vocabularySize, hiddenSize } = this.#ready.description;
    let sum = 0;
    for (const [first, count] of this.#slices()) {
      const slice = states.subarray(first * hiddenSize, (first + count) * hiddenSize);
      const logits = await this.#required().logits(slice, count, signal);
      const wanted = this.#logits.subarray(first * vocabularySize, (first + count) * vocabularySize);
      const targets = new Int32Array(count);
      const { kl } = this.#kernels.scoreVocabulary(logits, wanted, vocabularySize, targets, this.#threads);
      for (const one of kl ?? []) sum += one;
    }
    return this.#rows.length === 0 ? 0 : sum / this.#rows.length;
  }

  #slices(): [first: number, count: number][] {
    const most = this.#required().logitRows();
    const slices: [number, number][] = [];
    for (let first = 0; first < this.#rows.length; first += most) {
      slices.push([first, Math.min(most, this.#rows.length - first)]);
    }
    return slices;
  }

  async #forBatches(
    work: (batch: readonly Int32Array[], hidden: Float32Array, firstRow: number, pass: Decoder) => Promise<void>,
  ): Promise<void> {
    const pass = this.#required();
    const length = this.#windows[0]?.length ?? 0;
    const { hiddenSize } = this.#ready.description;
    const size = pass.batchSize(length);
    for (let first = 0; first < this.#windows.length; first += size) {
      const batch = this.#windows.slice(first, first + size);
      const firstRow = first * length;
      const rows = batch.length * length;
      await work(batch, this.#hidden.subarray(firstRow * hiddenSize, (firstRow + rows) * hiddenSize), firstRow, pass);
    }
  }

  #required(): Decoder {
    if (this.#pass !== null) return this.#pass;
    const what = 'A prober was asked before its memory was planned.';
    throw new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
  }
}
