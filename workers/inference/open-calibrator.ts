import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { calibrationBytes, gramBytesOf } from '../../core/calibration/calibration-memory.ts';
import { KernelError, NumericsError, WorkbenchError } from '../../core/errors.ts';
import { Decoder } from '../../core/forward/decoder.ts';
import { forwardMemory, planForward } from '../../core/forward/forward-memory.ts';
import type { MapInputs } from '../../core/forward/forward-pass.ts';
import type { InputStatistics, Kernels } from '../../core/kernels/kernels.ts';
import { quoted } from '../../core/quoted.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { withModelNamed } from '../engine/name-model.ts';
import type { Calibrator, CalibrationStep, MeasuredInput } from './calibrator.ts';
import { openReadyModel, type ReadyModel } from './open-ready-model.ts';

/** An input and what was fed of it so far. */
interface Listened {
  maps: readonly string[];
  size: number;
  statistics: InputStatistics;
}

/**
 * Opens a calibrator in this thread, which its walks then hold: call it from a worker thread.
 *
 * @throws as `openModel` and `describeWeights`
 */
export async function openCalibrator(
  { model, threads }: { model: string; threads: number },
  kernels: Kernels,
): Promise<Calibrator> {
  const ready = await withModelNamed(model, () => openReadyModel(model, null, kernels, threads));
  return new WalkingCalibrator(ready, kernels, threads);
}

class WalkingCalibrator implements Calibrator {
  readonly #ready: ReadyModel;
  readonly #kernels: Kernels;
  readonly #threads: number;
  #pass: Decoder | null = null;
  #windows: readonly Int32Array[] = [];
  /** Of all windows, right before the block that comes next. */
  #hidden = new Float32Array(0);

  constructor(ready: ReadyModel, kernels: Kernels, threads: number) {
    this.#ready = ready;
    this.#kernels = kernels;
    this.#threads = threads;
  }

  get facts() {
    const { description, positions, runtime } = this.#ready;
    const { vocabularySize, blocks } = description;
    const gramBytes = gramBytesOf(description);
    return { vocabularySize, positions, blocks: blocks.length, gramBytes, runtime: runtime.version };
  }

  reserve({ windows, length, withGram, processBytes, limitBytes }: Parameters<Calibrator['reserve']>[0]) {
    const { description } = this.#ready;
    const shape = { length, threads: this.#threads };
    const beside = processBytes + calibrationBytes(description, { windows, length, withGram });
    const { leastBytes, fullBytes } = forwardMemory(description, shape);
    const memoryLimitBytes = Math.min(fullBytes, Math.max(leastBytes, limitBytes - beside));
    this.#pass = new Decoder({ ...this.#ready, kernels: this.#kernels, threads: this.#threads, memoryLimitBytes });
    return Promise.resolve({
      peakMemoryBytes: beside + planForward(description, memoryLimitBytes, shape).peakBytes,
      leastMemoryBytes: beside + leastBytes,
    });
  }

  async begin(windows: readonly Int32Array[], signal: AbortSignal): Promise<void> {
    const rows = windows.reduce((sum, { length }) => sum + length, 0);
    this.#windows = windows;
    this.#hidden = new Float32Array(rows * this.#ready.description.hiddenSize);
    await this.#forBatches(async (batch, hidden, pass) => {
      hidden.set(await pass.walk(batch, { end: 0 }, signal));
    });
  }

  async advance({ block, measured, folder }: CalibrationStep, signal: AbortSignal): Promise<MeasuredInput[]> {
    const inputs = new Map<string, Listened>();
    const withGram = measured === 'gram';
    const hear = ({ maps, rows, size }: MapInputs): void => {
      if (measured === 'nothing') return;
      const name = maps.join(' ');
      const input = inputs.get(name) ?? { maps, size, statistics: this.#kernels.createInputStatistics(size, withGram) };
      inputs.set(name, input);
      try {
        input.statistics.feed(rows, this.#threads);
      } catch (error) {
        throw namingMaps(error, maps, block);
      }
    };
    // Also where nothing is measured: graphs without taps would be sessions of their own, and may round otherwise.
    const onInput = { isWanted: () => true, hear };
    try {
      await this.#forBatches(async (batch, hidden, pass) => {
        hidden.set(await pass.walk(batch, { start: { block, hidden }, end: block + 1, onInput }, signal));
      });
      if (withGram && folder !== null) await this.#writeGrams([...inputs.values()], folder, signal);
      return [...inputs.values()].map(({ maps, size, statistics }) => {
        return { maps: [...maps], columns: size, ...statistics.columns() };
      });
    } finally {
      // Gram matrices of the next block would come on top.
      for (const { statistics } of inputs.values()) statistics.close();
    }
  }

  async close(): Promise<void> {
    await this.#pass?.close();
  }

  async #writeGrams(inputs: readonly Listened[], folder: string, signal: AbortSignal): Promise<void> {
    for (const [index, { size, statistics }] of inputs.entries()) {
      const path = join(folder, `${index}.gram`);
      const sizeBytes = 4 * size * size;
      await wrapFileErrors('write', path, async () => {
        const file = await open(path, 'wx');
        await file.truncate(sizeBytes).finally(() => file.close());
      });
      await statistics.writeGram({ path, offsetBytes: 0, sizeBytes }, { threads: this.#threads, signal });
    }
  }

  /** As many windows at a time as memory was planned for; `hidden` is their part of the states. */
  async #forBatches(
    work: (batch: readonly Int32Array[], hidden: Float32Array, pass: Decoder) => Promise<void>,
  ): Promise<void> {
    const pass = this.#pass;
    const length = this.#windows[0]?.length ?? 0;
    if (pass === null) throw notReserved();
    const rowElements = length * this.#ready.description.hiddenSize;
    const size = pass.batchSize(length);
    for (let first = 0; first < this.#windows.length; first += size) {
      const batch = this.#windows.slice(first, first + size);
      const from = first * rowElements;
      await work(batch, this.#hidden.subarray(from, from + batch.length * rowElements), pass);
    }
  }
}

/** The kernel knows a row and a column, not whose. */
function namingMaps(error: unknown, maps: readonly string[], block: number): unknown {
  if (!(error instanceof WorkbenchError) || error.code !== 'NUMERICS_NOT_FINITE') return error;
  const [first = ''] = maps;
  const whose = maps.length === 1 ? quoted(first) : `${quoted(first)} and those beside it`;
  return new NumericsError({
    code: 'NUMERICS_NOT_FINITE',
    what: `In block ${block}, what ${whose} is given has an entry that is no number: ${error.what}`,
    where: { tensor: `${first}.weight` },
    whatToDo: 'Look at the weights before it with "lathe inspect --statistics": this model does not work as it is.',
    cause: error,
  });
}

function notReserved(): KernelError {
  const what = 'A calibrator was asked before its memory was planned.';
  return new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
}
