/**
 * A lossless run as a list of work items: each is journaled when done, and none is done twice.
 *
 * An item's record is plain JSON. Items run in order; an item may read the records of those before it.
 */
import type { LatheFile } from '../../contract/lathe-file.ts';
import type { CallOptions, Kernels } from '../../kernels/kernels.ts';
import type { OpenedModel } from '../../model/open-model.ts';

/** Small writes: headers and tables. Tensor bytes are written by the kernels. */
export interface OutputFiles {
  /** Makes (or cuts or extends) a file of exactly this size. */
  setSize(path: string, sizeBytes: number): Promise<void>;
  writeAt(path: string, bytes: Uint8Array, offsetBytes: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Absolute path of a relative one in posix form; folders on the way are made. */
  prepare(folder: string, relativePath: string): Promise<string>;
}

export interface WorkContext {
  kernels: Kernels;
  files: OutputFiles;
  model: OpenedModel;
  /** Absolute; the output as it grows. */
  folder: string;
  signal: AbortSignal;
  /** Options for a kernel call that will work through this many original bytes. */
  call(): CallOptions;
  note(message: string): void;
}

/** What an item leaves behind in the journal. */
export type WorkRecord = Record<string, unknown>;

export interface WorkItem {
  /** Unique within the run and the same in every run of the same plan. */
  key: string;
  /** For people: what is being done. */
  label: string;
  /** Original bytes that `run` works through, each pass counted. */
  workBytes: number;
  run(records: ReadonlyMap<string, WorkRecord>): Promise<WorkRecord>;
  /** Whether the output still holds what this record says (after a crash). Reads, never writes. */
  holds(record: WorkRecord, records: ReadonlyMap<string, WorkRecord>): Promise<boolean>;
}

export interface StoredTensor {
  name: string;
  method: string;
  storedBytes: number;
  /** Output file, relative. */
  file: string;
}

export interface FinishedWork {
  tensors: StoredTensor[];
  sourceFiles: { path: string; bytes: number; sha256: string }[];
  original: LatheFile['original'];
  notes: string[];
}

export interface LosslessWork {
  items: WorkItem[];
  /** Writes what can only be written at the end (configuration files), and sums up. */
  finish(records: ReadonlyMap<string, WorkRecord>): Promise<FinishedWork>;
}
