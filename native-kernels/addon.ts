/**
 * The addon's native surface, as typed as the binding crate (`crates/node`) exports it.
 *
 * Rejections carry JSON `{status, what, path, byteOffset}` in their message; `kernel-errors.ts` turns them into
 * `WorkbenchError`s.
 */
import type {
  AttentionShape,
  ColumnStatistics,
  ByteRange,
  DecodeTarget,
  Dfloat11Fields,
  Dfloat11Plan,
  FileChecksum,
  FileDigest,
  FileLock,
  GgmlFigures,
  GgmlTensor,
  GgmlType,
  KernelDescription,
  Plane,
  RunningDigest,
  TensorStatistics,
  VocabularyScores,
} from '../core/kernels/kernels.ts';
import type { GptqFigures, GramSource, QuantizeFigures, WeightSource } from '../core/kernels/quantize-kernels.ts';

export interface CallControl {
  cancel(): void;
  readonly doneBytes: number;
}

export interface NativeInputStatistics {
  feed(rows: Float32Array, threads: number): void;
  columns(): ColumnStatistics;
  writeGram(range: ByteRange, threads: number, control: CallControl): Promise<void>;
  close(): void;
}

export interface Addon {
  CallControl: new () => CallControl;
  RunningDigest: new () => RunningDigest;
  describe(): KernelDescription;
  memoryBytes(threads: number): number;
  lockFile(path: string): FileLock;
  freeDiskBytes(path: string): number | null;
  feedDigest(digest: RunningDigest, source: ByteRange, threads: number, control: CallControl): Promise<void>;
  digestFile(path: string, threads: number, control: CallControl): Promise<FileDigest>;
  digestFiles(paths: string[], threads: number, control: CallControl): Promise<FileDigest[]>;
  checksumFile(path: string, threads: number, control: CallControl): Promise<FileChecksum>;
  copyFile(from: string, to: string, threads: number, control: CallControl): Promise<FileDigest>;
  copyRange(from: ByteRange, to: string, toOffset: number, threads: number, control: CallControl): Promise<void>;
  compareRanges(decoded: ByteRange, original: ByteRange, threads: number, control: CallControl): Promise<void>;
  syncFile(path: string, threads: number, control: CallControl): Promise<void>;
  dequantizeGgml(tensor: GgmlTensor, out: Float32Array, threads: number, control: CallControl): Promise<void>;
  convertGgml(
    tensor: GgmlTensor,
    dtype: string,
    target: DecodeTarget,
    threads: number,
    control: CallControl,
  ): Promise<GgmlFigures>;
  compareGgml(
    tensor: GgmlTensor,
    dtype: string,
    original: ByteRange,
    threads: number,
    control: CallControl,
  ): Promise<GgmlFigures>;
  quantizeGgml(
    source: WeightSource,
    type: GgmlType,
    importance: Float32Array | null,
    magnitudeSpread: number | null,
    target: DecodeTarget,
    threads: number,
    control: CallControl,
  ): Promise<{ figures?: QuantizeFigures; refusal?: string }>;
  gptqGgml(
    source: WeightSource,
    inputs: GramSource,
    type: GgmlType,
    importance: Float32Array | null,
    magnitudeSpread: number | null,
    target: DecodeTarget,
    threads: number,
    control: CallControl,
  ): Promise<{ figures?: QuantizeFigures; feedback?: GptqFigures; refusal?: string }>;
  tensorStatistics(
    source: ByteRange[],
    dtype: string,
    threads: number,
    control: CallControl,
  ): Promise<TensorStatistics>;
  measureDfloat11(
    source: ByteRange[],
    threads: number,
    control: CallControl,
  ): Promise<{ plan?: Dfloat11Plan; refusal?: string }>;
  predictDfloat11(histogram: number[]): { storedBytes?: number; refusal?: string };
  encodeDfloat11(
    source: ByteRange[],
    plan: Dfloat11Plan,
    fields: Dfloat11Fields,
    threads: number,
    control: CallControl,
  ): Promise<void>;
  decodeDfloat11(
    fields: Dfloat11Fields,
    elements: number,
    target: DecodeTarget,
    threads: number,
    control: CallControl,
  ): Promise<void>;
  encodeSplitPlane(
    source: ByteRange[],
    split: string,
    coder: string,
    output: { path: string; dataStart: number; offset: number },
    alsoDigest: RunningDigest | null,
    threads: number,
    control: CallControl,
  ): Promise<{ planes: Plane[]; end: number; sha256: string }>;
  decodeSplitPlane(
    input: { path: string; dataStart: number },
    planes: Plane[],
    split: string,
    sizeBytes: number,
    target: DecodeTarget,
    withSha256: boolean,
    threads: number,
    control: CallControl,
  ): Promise<string | null>;
  NativeInputStatistics: new (columns: number, withGram: boolean) => NativeInputStatistics;
  attendWindows(
    shape: Omit<AttentionShape, 'softCap' | 'window'> & { softCap?: number | undefined; window?: number | undefined },
    query: Float32Array,
    key: Float32Array,
    value: Float32Array,
    cosines: Float32Array,
    sines: Float32Array,
    out: Float32Array,
    threads: number,
  ): void;
  scoreVocabulary(
    logits: Float32Array,
    reference: Float32Array | null,
    vocabularySize: number,
    targets: Int32Array,
    threads: number,
  ): VocabularyScores;
  panicForTests(text: string): Promise<void>;
}
