import type { GgmlTensor } from '../../core/kernels/kernels.ts';
import type { CalibratorMemory } from './calibrator.ts';
import type { ScorerFacts } from './scorer.ts';

export interface ProberRequest {
  /** Windows and tokens of each that probes run. */
  windows: number;
  length: number;
  /** Weights of the largest tensor that is replaced. */
  largestTensor: number;
  /** What the process has beside the model. */
  processBytes: number;
  /** Of the whole process. */
  limitBytes: number;
}

/** Other values for one tensor of the model. */
export interface Probe {
  tensor: string;
  /** The block that it lies in; null outside the blocks. */
  block: number | null;
  /** Where the other values are, and how many. */
  stored: GgmlTensor;
  elements: number;
}

/** A model of which one tensor at a time is replaced, to see how far its output moves; in a worker thread. */
export interface Prober {
  readonly facts: ScorerFacts;
  /** Once, before `begin`. Below the least it takes that. */
  reserve(request: ProberRequest): Promise<CalibratorMemory>;
  /** Runs the windows, of equal length, through the model as it is. */
  begin(windows: readonly Int32Array[], signal: AbortSignal): Promise<void>;
  /**
   * Mean D(model || model with the tensor replaced) over predictions spread evenly over the windows, in nats. Blocks of probes
   * never go back.
   */
  probe(probe: Probe, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export type OpenProber = (options: { model: string; threads: number }) => Promise<Prober>;
