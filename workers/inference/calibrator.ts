import type { ScorerFacts } from './scorer.ts';

export interface CalibratorFacts extends ScorerFacts {
  blocks: number;
  /** Of each block, the bytes of each input's Gram matrix as it is kept. */
  gramBytes: number[][];
  /** What runs the model, with its version. */
  runtime: string;
}

export interface CalibratorRequest {
  windows: number;
  /** Tokens of a window. */
  length: number;
  withGram: boolean;
  /** What the process has beside the model. */
  processBytes: number;
  /** Of the whole process. */
  limitBytes: number;
}

/** Bounds of the whole process. */
export interface CalibratorMemory {
  peakMemoryBytes: number;
  leastMemoryBytes: number;
}

export interface CalibrationStep {
  block: number;
  /** What is measured of its inputs on the way; the hidden states behind it are the same whatever is. */
  measured: 'nothing' | 'columns' | 'gram';
  /** Where Gram matrices go, `0.gram` and so on in the order of the inputs; an empty folder. */
  folder: string | null;
}

/** An input of linear maps, over all tokens. */
export interface MeasuredInput {
  maps: string[];
  columns: number;
  rows: number;
  sums: Float64Array;
  squares: Float64Array;
  greatest: Float32Array;
}

/** A model that is walked block by block over all calibration windows at once, in a worker thread. */
export interface Calibrator {
  readonly facts: CalibratorFacts;
  /** Once, before `begin`. Below the least it takes that. */
  reserve(request: CalibratorRequest): Promise<CalibratorMemory>;
  /** Takes the windows, of equal length, to right before the first block. */
  begin(windows: readonly Int32Array[], signal: AbortSignal): Promise<void>;
  /** Takes them through the next block, and tells what its linear maps were given. */
  advance(step: CalibrationStep, signal: AbortSignal): Promise<MeasuredInput[]>;
  close(): Promise<void>;
}

export type OpenCalibrator = (options: { model: string; threads: number }) => Promise<Calibrator>;
