/**
 * A lossless run as a list of work items: each is journaled when done, and none is done twice.
 *
 * An item's record is plain JSON. Items run in order; an item may read the records of those before it.
 */
import type { CallOptions, Kernels } from '../../kernels/kernels.ts';
import type { FileAccess } from '../../model/file-access.ts';
import type { SafetensorsModel } from '../../model/open-model.ts';

/** Small writes: headers and tables. Tensor bytes are written by the kernels. */
export interface OutputFiles {
  /** Absolute path of a relative one in posix form; folders on the way are made. */
  prepare(folder: string, relativePath: string): Promise<string>;
  /** Makes (or cuts or extends) a file of exactly this size. */
  setSize(path: string, sizeBytes: number): Promise<void>;
  writeAt(path: string, bytes: Uint8Array, offsetBytes: number): Promise<void>;
  /** A whole small file: after a crash it is the old one or the new one. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

/** How a job calls the world. */
export interface WorkTools {
  kernels: Kernels;
  files: OutputFiles;
  access: FileAccess;
  /** Options for the next kernel call: threads, signal, progress. */
  call: () => CallOptions;
}

export interface WorkContext extends WorkTools {
  model: SafetensorsModel;
  /** Absolute; the output as it grows. */
  folder: string;
}

/** What an item leaves behind in the journal. */
export type WorkRecord = Record<string, unknown>;

/** The records of finished items, by key. */
export type WorkRecords = ReadonlyMap<string, WorkRecord>;

export interface WorkItem {
  /** Unique within the run and the same in every run of the same plan. */
  key: string;
  /** For people: what is being done. */
  label: string;
  /** Original bytes that `run` works through, each pass counted. */
  workBytes: number;
  /** Does the work, and returns when its bytes are on the disk. */
  run(records: WorkRecords): Promise<WorkRecord>;
  /** Whether the output still holds what this record says (after a crash). Reads, never writes. */
  holds(record: WorkRecord): Promise<boolean>;
}

export interface SourceFile {
  path: string;
  bytes: number;
  sha256: string;
  /** XXH3-64 of weight files, 16 lower-case hex digits. */
  xxh3?: string;
}

export interface StoredTensor {
  /** As it is called in the output. */
  name: string;
  /** Hugging Face's name, where that is another. */
  canonicalName?: string;
  dtype: string;
  shape: number[];
  /** plain, dfloat11, split-plane, or a block type such as Q4_K. */
  method: string;
  /** Relative root-mean-square error; left out by lossless methods. */
  error?: number;
  storedBytes: number;
  /** Output file, relative. */
  file: string;
}

/** What the output's own layout cannot hold, by path in the source. */
export interface OriginalParts {
  headers: Map<string, Uint8Array>;
  files: Map<string, Uint8Array>;
  renamed: Map<string, string>;
}

export interface FinishedWork {
  tensors: StoredTensor[];
  /** Those whose digest the work found on its way; the verification hashes all weight files. */
  sourceFiles: SourceFile[];
  original: OriginalParts;
  /** Every file of the output, relative, in posix form; nothing else may lie there. */
  outputFiles: string[];
  /** Stored beside the tensors, such as tables of rotary factors. */
  tableBytes?: number;
  notes: string[];
}

export interface LosslessWork {
  items: WorkItem[];
  /** Writes what can only be written at the end (configuration files), and sums up. May be repeated. */
  finish(records: WorkRecords): Promise<FinishedWork>;
}
