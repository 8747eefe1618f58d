import { LATHE_FILE_NAME, type LatheFile, type QuantizationFacts } from '../../core/contract/lathe-file.ts';
import { missedLimits } from '../../core/contract/missed-limits.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { CompressResult } from '../../core/contract/results.ts';
import { FormatError } from '../../core/errors.ts';
import type { FinishedWork, SourceFile } from '../../core/methods/lossless/work.ts';
import { elementCount } from '../../core/formats/safetensors/tensor-size.ts';
import { bitsPerWeight } from '../../core/units.ts';
import { compareByCodePoint } from '../../core/utf8.ts';
import { readLatheFile, toBase64 } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { programVersion } from '../engine/run-identity.ts';
import type { QuantizableModel } from './open-source.ts';

/** What `lathe.json` says beside sizes and hashes. */
export interface OutputFacts {
  method: LatheFile['method'];
  seed?: number | null;
  quantization?: QuantizationFacts;
}

/** The content of `lathe.json`; depends on model, recipe, its texts and the version alone. */
export function describeOutput(
  finished: FinishedWork,
  files: readonly SourceFile[],
  model: QuantizableModel,
  recipe: Recipe,
  { method, seed = null, quantization }: OutputFacts,
): Omit<LatheFile, 'integrity'> {
  const { tensors, sourceFiles, original, notes } = finished;
  const storedBytes = sumOf(tensors, (tensor) => tensor.storedBytes);
  return {
    schema: 1,
    program: { name: 'lathe', version: programVersion() },
    method,
    lossless: quantization === undefined,
    recipe,
    seed,
    source: {
      kind: model.openedAs === 'folder' ? 'folder' : 'file',
      architecture: model.architecture,
      parameters: model.parameters,
      storedBytes: sumOf<{ sizeBytes: number }>(model.tensors, ({ sizeBytes }) => sizeBytes),
      files: [...sourceFiles].sort((a, b) => compareByCodePoint(a.path, b.path)),
      emptyFolders: model.emptyFolders,
    },
    output: {
      storedBytes,
      fileBytes: sumOf(files, ({ bytes }) => bytes),
      bitsPerWeight: bitsPerWeight(storedBytes, model.parameters),
      files: [...files],
    },
    tensors: tensors.map(
      ({ name, canonicalName = name, dtype, shape, method: how, error = 0, storedBytes: bytes, file }) => ({
        name,
        canonicalName,
        dtype,
        shape,
        method: how,
        storedBytes: bytes,
        bitsPerWeight: bitsPerWeight(bytes, elementCount(shape) ?? 0),
        error,
        file,
      }),
    ),
    notes,
    ...(quantization === undefined ? {} : { quantization }),
    original: {
      headers: toBase64(original.headers),
      files: toBase64(original.files),
      renamed: Object.fromEntries(original.renamed),
    },
  };
}

type ResultFromFile = Omit<
  CompressResult,
  'runId' | 'seconds' | 'cpuSeconds' | 'peakRssBytes' | 'resumed' | 'verified'
>;

/** What a finished output says of itself: the result of the run that made it, without what only that run knows. */
export async function readCompressResult(output: string): Promise<ResultFromFile> {
  const lathe = await readLatheFile(output);
  const facts = await nodeFileAccess.stat(`${output}/${LATHE_FILE_NAME}`);
  if (!lathe || !facts) {
    throw new FormatError({
      code: 'FORMAT_LATHE_JSON_INVALID',
      what: `"${output}" has no "lathe.json", though its run ended well.`,
      where: { file: output },
      whatToDo: 'Let nothing change the output during a run, and run it again.',
    });
  }
  const { source, output: written, tensors, notes, quantization, metrics, overlap, recipe } = lathe;
  const blocks = tensors.filter(({ canonicalName, shape }) => shape.length > 1 && IN_BLOCK.test(canonicalName));
  const error = missedLimits(recipe.limits, metrics);
  return {
    schema: 1,
    output,
    parameters: source.parameters,
    storedBytes: written.storedBytes,
    fileBytes: written.fileBytes + facts.sizeBytes,
    sourceStoredBytes: source.storedBytes,
    sourceFileBytes: sumOf(source.files, ({ bytes }) => bytes),
    bitsPerWeight: written.bitsPerWeight,
    tensors,
    ...(quantization === undefined
      ? {}
      : {
          bitsPerBlockWeight: bitsPerWeight(
            sumOf(blocks, (tensor) => tensor.storedBytes),
            sumOf(blocks, ({ shape }) => elementCount(shape) ?? 0),
          ),
          quantization,
        }),
    ...(metrics === undefined ? {} : { metrics, overlap: overlap ?? false }),
    notes,
    ...(error === null ? {} : { error }),
  };
}

/** Names of what lies in a decoder's blocks, in all families. */
const IN_BLOCK = /(^|\.)(layers|h)\.\d+\./;

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}
