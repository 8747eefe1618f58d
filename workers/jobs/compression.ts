import type { LatheFile } from '../../core/contract/lathe-file.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import type { FinishedWork, SourceFile, WorkContext, WorkItem, WorkRecords } from '../../core/methods/lossless/work.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';
import type { ProgressTracker } from '../engine/progress-tracker.ts';

/** How a compression calls the world, and where its output grows. */
export type OutputContext = Omit<WorkContext, 'model'> & { kernels: QuantizeKernels };

/** What a recipe does to a model, planned from headers: everything that can be refused has been. */
export interface Compression {
  /** What its items, and its verification, take. */
  demand: Demand;
  /** Bounds of what it stores of tensors, equal where that follows from headers; null where only the weights can tell. */
  storedBytes: { low: number; high: number } | null;
  /** Whether Gram matrices are needed. */
  usesGptq: boolean;
  /** What a user may want to know of the plan, as whole sentences. */
  notes: string[];
  /**
   * Measures what the items depend on, with leases of its own, and says which they are. Measurements are cached: again it
   * takes little time, and gives the same items.
   */
  prepare(): Promise<PreparedCompression>;
}

export interface PreparedCompression {
  items: WorkItem[];
  /** Writes what can only be written at the end, and sums up. May be repeated. */
  finish(records: WorkRecords): Promise<FinishedWork>;
  /** What the verification will work through; of an output that is not there yet a guess. */
  verificationBytes(finished: FinishedWork | null): Promise<number>;
  /**
   * Reads the finished output as a stranger would, and compares it with the source.
   *
   * @throws VerificationError VERIFY_FAILED; whatever reading a damaged output throws
   */
  verify(finished: FinishedWork, tracker: ProgressTracker): Promise<VerifiedOutput>;
  /** The content of `lathe.json`; depends on model, recipe, texts, version and at most the kind of processor. */
  describe(finished: FinishedWork, verified: VerifiedOutput): Omit<LatheFile, 'integrity'>;
}

/** The digests of the output's files, sorted by path, and of every source file. */
export interface VerifiedOutput {
  outputFiles: SourceFile[];
  sourceFiles: SourceFile[];
}
