import type { LatheFile } from '../../contract/lathe-file.ts';
import { FormatError } from '../../errors.ts';
import { buildSafetensorsHeader, sortForWriting } from '../../formats/safetensors/safetensors-writer.ts';
import { isDtype } from '../../formats/safetensors/dtypes.ts';
import { parseSafetensorsHeader, readHeaderLength } from '../../formats/safetensors/safetensors-header.ts';
import type { ByteRange } from '../../kernels/kernels.ts';
import type { FileAccess } from '../../model/file-access.ts';
import type { SplitPlaneModel } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { encodeUtf8 } from '../../utf8.ts';
import type { CodedPart, LogicalTensor } from './coded-parts.ts';
import { sourceNameOf } from './split-plane-names.ts';

/** A weight file to be restored: its size, its first bytes, and where each tensor goes. */
export interface RestoredWeightFile {
  /** Relative to the output. */
  path: string;
  sizeBytes: number;
  header: Uint8Array;
  places: { name: string; offsetBytes: number; sizeBytes: number }[];
  /** Of the original file, where they are known. */
  sha256: string | null;
  xxh3: string | null;
}

/**
 * The original weight files of a DFloat11 folder that Lathe wrote, from the headers in its `lathe.json`.
 *
 * @param headers the first bytes of each file
 * @throws FormatError as `parseSafetensorsHeader`; FORMAT_LATHE_JSON_INVALID if a header belongs to no listed file
 */
export function originalWeightFiles(lathe: LatheFile, headers: ReadonlyMap<string, Uint8Array>): RestoredWeightFile[] {
  const sources = new Map(lathe.source.files.map((file) => [file.path, file]));
  return [...headers].map(([path, header]) => {
    const source = sources.get(path);
    if (!source) {
      throw new FormatError({
        code: 'FORMAT_LATHE_JSON_INVALID',
        what: `"lathe.json" has the header of ${quoted(path)}, which is not among the source's files.`,
        where: { file: 'lathe.json' },
        whatToDo: 'Get the compressed folder again, lathe.json included.',
      });
    }
    return {
      path,
      sizeBytes: source.bytes,
      header,
      places: placesIn(header, path, source.bytes),
      sha256: source.sha256,
      xxh3: source.xxh3 ?? null,
    };
  });
}

/**
 * The original weight files of a split-plane folder, from the headers in its files.
 *
 * @throws FormatError as `parseSafetensorsHeader`; what `access` throws
 */
export async function splitPlaneWeightFiles(model: SplitPlaneModel, access: FileAccess): Promise<RestoredWeightFile[]> {
  const files: RestoredWeightFile[] = [];
  for (const { path: stored, header } of model.weightFiles) {
    const { source, tensors, dataStart } = header;
    const path = sourceNameOf(stored);
    const first = await access.read(`${model.root}/${stored}`, dataStart + source.header.offset, source.header.bytes);
    const raw = tensors.length === 1 && tensors[0]?.dtype === 'RAW' ? tensors[0] : null;
    const places = raw
      ? [{ name: raw.name, offsetBytes: first.length, sizeBytes: raw.bytes }]
      : placesIn(first, path, source.bytes);
    files.push({ path, sizeBytes: source.bytes, header: first, places, sha256: source.sha256, xxh3: null });
  }
  return files;
}

function placesIn(header: Uint8Array, file: string, fileSizeBytes: number): RestoredWeightFile['places'] {
  const origin = { file, fileSizeBytes };
  const length = readHeaderLength(header.subarray(0, 8), origin);
  if (header.length !== 8 + length) {
    throw new FormatError({
      code: 'FORMAT_HEADER_INVALID',
      what: `The kept header of ${quoted(file)} has ${header.length} bytes, but says that it has ${8 + length}.`,
      where: { file },
      whatToDo: 'Get the compressed folder again.',
    });
  }
  return parseSafetensorsHeader(header.subarray(8), origin).tensors;
}

/**
 * New weight files for tensors whose original files are not known: in the official writer's order, filled one after the
 * other up to a size, with an index if there are several.
 *
 * @param maxShardBytes of a file's tensors; a larger tensor has a file of its own; null: one file
 */
export function newWeightFiles(
  parts: readonly Pick<CodedPart, 'tensors'>[],
  maxShardBytes: number | null,
): { files: RestoredWeightFile[]; index: Uint8Array | null } {
  const shards: LogicalTensor[][] = [[]];
  let shardBytes = 0;
  for (const tensor of sortForWriting(parts.flatMap(({ tensors }) => tensors).map(withDtype))) {
    if (maxShardBytes !== null && shardBytes > 0 && shardBytes + tensor.sizeBytes > maxShardBytes) {
      shards.push([]);
      shardBytes = 0;
    }
    shards[shards.length - 1]?.push(tensor);
    shardBytes += tensor.sizeBytes;
  }
  const files = shards.map((tensors, index): RestoredWeightFile => {
    const layout = buildSafetensorsHeader(tensors.map(withDtype), { format: 'pt' });
    const path = shardName(index, shards.length);
    return {
      path,
      sizeBytes: layout.fileSizeBytes,
      header: layout.header,
      places: layout.tensors,
      sha256: null,
      xxh3: null,
    };
  });
  return { files, index: files.length > 1 ? encodeUtf8(indexText(files)) : null };
}

function withDtype<T extends LogicalTensor>(tensor: T) {
  const { dtype } = tensor;
  if (!isDtype(dtype)) throw new Error(`${dtype} is no dtype of a tensor`);
  return { ...tensor, dtype };
}

/** As Hugging Face Transformers names them. */
function shardName(index: number, count: number): string {
  if (count === 1) return 'model.safetensors';
  const digits = (value: number) => String(value).padStart(5, '0');
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function indexText(files: readonly RestoredWeightFile[]): string {
  const entries = files.flatMap(({ path, places }) => places.map(({ name }) => [name, path] as const));
  const total = files.reduce((sum, { sizeBytes, header }) => sum + sizeBytes - header.length, 0);
  const weightMap = Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }, null, 2)}\n`;
}

/**
 * Where each tensor goes, after the check that files and stored parts hold exactly the same tensors.
 *
 * @param folder absolute; where the files are
 * @throws FormatError FORMAT_SHAPE_MISMATCH
 */
export function placeTensors(
  files: readonly RestoredWeightFile[],
  parts: readonly CodedPart[],
  folder: string,
): Map<string, ByteRange> {
  const places = new Map<string, ByteRange>();
  for (const { path, places: inFile } of files) {
    for (const { name, offsetBytes, sizeBytes } of inFile) {
      places.set(name, { path: `${folder}/${path}`, offsetBytes, sizeBytes });
    }
  }
  const stored = parts.flatMap(({ tensors }) => tensors);
  for (const { name, sizeBytes } of stored) {
    if (places.get(name)?.sizeBytes !== sizeBytes) {
      const found = places.get(name)?.sizeBytes;
      throw mismatch(name, `decodes to ${sizeBytes} bytes, but the original file has ${found ?? 'no'} bytes for it`);
    }
  }
  const known = new Set(stored.map(({ name }) => name));
  const lost = [...places.keys()].find((name) => !known.has(name));
  if (lost !== undefined) throw mismatch(lost, 'is in an original file, but not stored');
  return places;
}

function mismatch(tensor: string, found: string): FormatError {
  return new FormatError({
    code: 'FORMAT_SHAPE_MISMATCH',
    what: `Tensor ${quoted(tensor)} ${found}.`,
    where: { tensor },
    whatToDo: 'Get the compressed folder again, lathe.json included.',
  });
}
