import { FormatError } from '../../errors.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { quoted } from '../../quoted.ts';
import type { GgufArray } from '../gguf/gguf-metadata.ts';
import { readGgufArray } from '../gguf/gguf-metadata.ts';
import { readGgufHeader, type GgufHeader } from '../gguf/gguf-header.ts';
import type { GgufTensor } from '../gguf/gguf-tensors.ts';

const SUMS = '.in_sum2';
const COUNTS = '.counts';
/** No model has wider rows; a file of such would be something else. */
const MAX_COLUMNS = 1 << 20;

/** An importance matrix as llama.cpp's `llama-imatrix` writes it. */
export interface Imatrix {
  /** By the name of the GGUF tensor, such as `blk.0.attn_q.weight`: the mean square of each column of its input. */
  importance: ReadonlyMap<string, Float32Array>;
  /** Names of the texts, without their folders. */
  datasets: string[];
  /** Windows that the model was shown, and the tokens of each; null where the file does not tell. */
  chunks: number | null;
  chunkSize: number | null;
}

/**
 * Reads an importance matrix in GGUF.
 *
 * Source: llama.cpp's `tools/imatrix`, "GGUF" format (general.type = imatrix): for each matrix `<name>.in_sum2`, f32
 * [columns], the sum of squares, and `<name>.counts`, f32 [1], of how many rows.
 * @param file as messages show it
 * @throws FormatError as `readGgufHeader`; IMATRIX_INVALID for another kind of file, experts, missing counts, numbers that
 * are no sums of squares
 */
export async function readImatrix(path: string, file: string, access: FileAccess): Promise<Imatrix> {
  const facts = await access.stat(path);
  if (facts?.kind !== 'file') throw notFound(file);
  const gguf = { path, file, sizeBytes: facts.sizeBytes };
  const header = await readHeader(gguf, access);
  if (header.metadata.get('general.type')?.value !== 'imatrix') throw invalid(file, 'is a GGUF file of another kind');
  const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  const importance = new Map<string, Float32Array>();
  for (const tensor of header.tensors) {
    if (!tensor.name.endsWith(SUMS)) continue;
    const name = tensor.name.slice(0, -SUMS.length);
    importance.set(name, await readMeans(name, tensor, tensors.get(`${name}${COUNTS}`), gguf, access));
  }
  if (importance.size === 0) throw invalid(file, 'names no matrix');
  return { importance, ...(await readOrigin(header, gguf, access)) };
}

async function readHeader(gguf: { path: string; file: string; sizeBytes: number }, access: FileAccess) {
  const start = await access.read(gguf.path, 0, Math.min(4, gguf.sizeBytes));
  if (String.fromCharCode(...start) === 'GGUF') return readGgufHeader(gguf, access);
  throw invalid(gguf.file, 'is no GGUF file, perhaps one of the older kind that ends in ".dat"');
}

async function readMeans(
  name: string,
  sums: GgufTensor,
  counts: GgufTensor | undefined,
  { path, file }: { path: string; file: string },
  access: FileAccess,
): Promise<Float32Array> {
  const at = `of ${quoted(name)}`;
  if (counts === undefined) throw invalid(file, `has no counts ${at}`, sums.name);
  if (sums.type !== 'F32' || counts.type !== 'F32') throw invalid(file, `has other numbers than f32 ${at}`, sums.name);
  if (counts.elements !== 1) throw invalid(file, `has counts of ${counts.elements} experts ${at}`, counts.name);
  if (sums.elements > MAX_COLUMNS) throw invalid(file, `has ${sums.elements} columns ${at}`, sums.name);
  const [count = 0] = await readFloats(path, counts, access);
  const values = await readFloats(path, sums, access);
  if (!(count > 0 && count < Infinity)) throw invalid(file, `has the count ${count} ${at}`, counts.name);
  const wrong = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (wrong >= 0) throw invalid(file, `has ${values[wrong]} for column ${wrong} ${at}, no sum of squares`, sums.name);
  return values.map((value) => value / count);
}

async function readFloats(path: string, { offsetBytes, sizeBytes }: GgufTensor, access: FileAccess) {
  const bytes = await access.read(path, offsetBytes, sizeBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: sizeBytes / 4 }, (_, index) => view.getFloat32(4 * index, true));
}

async function readOrigin(
  { metadata }: GgufHeader,
  gguf: { path: string; file: string; sizeBytes: number },
  access: FileAccess,
): Promise<Pick<Imatrix, 'datasets' | 'chunks' | 'chunkSize'>> {
  const numberOf = (key: string) => {
    const value = metadata.get(key)?.value;
    return typeof value === 'number' ? value : null;
  };
  const listed = metadata.get('imatrix.datasets')?.value;
  const datasets = typeof listed === 'object' ? await readNames(gguf, listed, access) : [];
  return { datasets, chunks: numberOf('imatrix.chunk_count'), chunkSize: numberOf('imatrix.chunk_size') };
}

async function readNames(
  gguf: { path: string; file: string; sizeBytes: number },
  list: GgufArray,
  access: FileAccess,
): Promise<string[]> {
  const items = await readGgufArray(gguf, list, access);
  // Paths of somebody else's machine say nothing here.
  return items.flatMap((item) => (typeof item === 'string' ? (item.split(/[/\\]/).pop() ?? []) : []));
}

function notFound(file: string): FormatError {
  return new FormatError({
    code: 'FILE_NOT_FOUND',
    what: `The importance matrix ${quoted(file)} does not exist, or is no file.`,
    where: { file },
    whatToDo: 'Check the path.',
  });
}

function invalid(file: string, found: string, tensor?: string): FormatError {
  return new FormatError({
    code: 'IMATRIX_INVALID',
    what: `${quoted(file)} ${found}; an importance matrix in GGUF is expected.`,
    where: { file, tensor },
    whatToDo: "Make one with llama.cpp's llama-imatrix (--output-format gguf), or calibrate with --text.",
  });
}
