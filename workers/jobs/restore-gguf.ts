import type { LatheFile } from '../../core/contract/lathe-file.ts';
import type { RestoredFile, RestoreResult } from '../../core/contract/results.ts';
import { NumericsError, UsageError, WorkbenchError } from '../../core/errors.ts';
import { isPlainType } from '../../core/formats/gguf/ggml-types.ts';
import type { ByteRange, FloatDtype, GgmlFigures, Kernels } from '../../core/kernels/kernels.ts';
import { ggufParts, type GgufPart } from '../../core/methods/gguf/gguf-parts.ts';
import { newWeightFiles, type RestoredWeightFile } from '../../core/methods/lossless/restored-files.ts';
import { requireGgufConfig, type GgufModel } from '../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import { quoted } from '../../core/quoted.ts';
import { encodeUtf8 } from '../../core/utf8.ts';
import type { RestoreOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { refuseExistingOutput, removeSpent } from '../engine/output-folder.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { outputPath } from './output-path.ts';
import { writeRestored, type RestoreTools } from './restore-place.ts';

const DTYPES = { bf16: 'BF16', f16: 'F16', f32: 'F32' } as const satisfies Record<string, FloatDtype>;
const BYTES_OF: Readonly<Record<FloatDtype, number>> = { BF16: 2, F16: 2, F32: 4 };
const TORCH_NAMES: Readonly<Record<FloatDtype, string>> = { BF16: 'bfloat16', F16: 'float16', F32: 'float32' };

/**
 * Makes a safetensors model in Hugging Face's names out of a GGUF file, with config and tokenizer, and reads it back.
 *
 * The dtype is the one asked for; else that of the source's matrices, if `lathe.json` tells it, or of the file's, if all are
 * plain, and of one; else BF16.
 * @throws as `ggufParts`; NumericsError NUMERICS_NOT_FINITE; UsageError USAGE_INVALID_ARGUMENT for a dtype that cannot
 * hold a weight; any WorkbenchError. Nothing stays behind on failure
 */
export async function restoreGguf(
  model: GgufModel,
  lathe: LatheFile | null,
  options: RestoreOptions,
  run: RestoreTools,
): Promise<RestoreResult> {
  const { kernels, usage } = run;
  const { signal, onEvent } = options;
  const parts = ggufParts(model);
  const dtype = options.dtype === null ? (sourceDtype(lathe) ?? knownDtype(parts)) : DTYPES[options.dtype];
  const plan = planFiles(parts, dtype, options.maxShardBytes);
  const texts = await planTexts(model, dtype, plan.index);
  const output = await outputPath(options.output, model);
  await removeSpent(output, 'restore', kernels);
  await refuseExistingOutput(output, options.force);
  const pool = poolOf(options);
  const demand = jobDemand(kernels, options.threads, parts.length);
  const { threads } = pool.sizeOf(demand, 'this job');
  const tracker = createProgressTracker(threads, signal, onEvent);
  const { files, figures } = await writeRestored(output, model, options, run, async (folder) => {
    return withLease(options, pool, demand, 'this job', async () => {
      const weights = { parts, dtype, files: plan.files, folder };
      const figures = await writeWeights(weights, kernels, tracker);
      const checked = await checkWeights(weights, kernels, tracker);
      const files = [...checked, ...(await writeTexts(texts.files, folder, kernels, tracker))];
      return { figures, files, lossless: false, filesIdentical: false };
    });
  });
  tracker.finish();
  const rounding = { dtype, ...errorsOf(figures) };
  const notes = [...model.notes, ...texts.notes, describeRounding(rounding)];
  for (const message of notes) onEvent({ event: 'note', message });
  return {
    schema: 1,
    output,
    files: files.sort((a, b) => (a.name < b.name ? -1 : 1)),
    lossless: rounding.maxAbsError === 0 && parts.every(({ stored }) => isPlainType(stored.type)),
    filesIdentical: false,
    rounding,
    notes,
    ...(await usage()),
  };
}

/** Of all matrices of the model that a folder was made from; null where they have several, or nothing tells it. */
function sourceDtype(lathe: LatheFile | null): FloatDtype | null {
  const matrices = (lathe?.tensors ?? []).filter(({ shape }) => shape.length > 1);
  const dtypes = new Set(matrices.map(({ dtype }) => dtype));
  const [only] = dtypes;
  return dtypes.size === 1 ? (Object.values(DTYPES).find((dtype) => dtype === only) ?? null) : null;
}

/** Quantized weights tell nothing of their source's dtype. */
function knownDtype(parts: readonly GgufPart[]): FloatDtype {
  const types = new Set(parts.filter(({ place }) => place.shape.length > 1).map(({ stored }) => stored.type));
  const [type] = types;
  const plain = Object.values(DTYPES).find((dtype) => dtype === type);
  return types.size === 1 && plain !== undefined ? plain : DTYPES.bf16;
}

function planFiles(parts: readonly GgufPart[], dtype: FloatDtype, maxShardBytes: number | null) {
  const tensors = parts.map(({ place, elements, storedBytes }) => {
    return { name: place.canonicalName, dtype, shape: place.shape, sizeBytes: BYTES_OF[dtype] * elements, storedBytes };
  });
  return newWeightFiles([{ tensors }], maxShardBytes);
}

interface PlannedTexts {
  files: { path: string; bytes: Uint8Array }[];
  notes: string[];
}

async function planTexts(model: GgufModel, dtype: FloatDtype, index: Uint8Array | null): Promise<PlannedTexts> {
  const config: JsonObject = { ...requireGgufConfig(model), torch_dtype: TORCH_NAMES[dtype] };
  const files = [{ path: 'config.json', bytes: jsonBytes(config) }];
  if (index) files.push({ path: 'model.safetensors.index.json', bytes: index });
  try {
    const { tokenizerJson, tokenizerConfig } = await readGgufTokenizer(model, nodeFileAccess);
    files.push({ path: 'tokenizer.json', bytes: jsonBytes(tokenizerJson) });
    files.push({ path: 'tokenizer_config.json', bytes: jsonBytes(tokenizerConfig) });
    return { files, notes: [] };
  } catch (error) {
    // The weights are worth having without it.
    if (!(error instanceof WorkbenchError) || !error.code.startsWith('TOKENIZER_')) throw error;
    return { files, notes: [`No tokenizer was written. ${error.what}`] };
  }
}

function jsonBytes(value: JsonObject): Uint8Array {
  return encodeUtf8(`${JSON.stringify(value, null, 2)}\n`);
}

interface Weights {
  parts: readonly GgufPart[];
  dtype: FloatDtype;
  files: readonly RestoredWeightFile[];
  folder: string;
}

async function writeWeights(weights: Weights, kernels: Kernels, tracker: ProgressTracker): Promise<GgmlFigures[]> {
  const { parts, dtype, files, folder } = weights;
  const storedBytes = parts.reduce((sum, part) => sum + part.storedBytes, 0);
  tracker.expect(2 * storedBytes + files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  tracker.stage('decode');
  for (const { path, sizeBytes, header } of files) {
    const target = await nodeOutputFiles.prepare(folder, path);
    await nodeOutputFiles.setSize(target, sizeBytes);
    await nodeOutputFiles.writeAt(target, header, 0);
  }
  const places = placesOf(weights);
  const figures: GgmlFigures[] = [];
  for (const part of parts) {
    const ranges = rangesOf(part, places);
    const found = await kernels.convertGgml(part.stored, dtype, { kind: 'write', ranges }, tracker.call());
    checkFigures(found, part, dtype);
    figures.push(found);
    tracker.settle(part.storedBytes);
  }
  return figures;
}

/** Decodes everything again, and compares it with what is read back from the disk. */
async function checkWeights(weights: Weights, kernels: Kernels, tracker: ProgressTracker): Promise<RestoredFile[]> {
  const { parts, dtype, files, folder } = weights;
  tracker.stage('verify');
  for (const { path } of files) await kernels.syncFile(`${folder}/${path}`, tracker.call());
  const places = placesOf(weights);
  for (const part of parts) {
    const target = { kind: 'compare', ranges: rangesOf(part, places) } as const;
    await kernels.convertGgml(part.stored, dtype, target, tracker.call());
    tracker.settle(part.storedBytes);
  }
  const written: RestoredFile[] = [];
  for (const { path, sizeBytes } of files) {
    written.push(await digest(path, folder, kernels, tracker));
    tracker.settle(sizeBytes);
  }
  return written;
}

function placesOf({ files, folder }: Weights): Map<string, ByteRange> {
  return new Map(
    files.flatMap(({ path, places }) =>
      places.map(({ name, offsetBytes, sizeBytes }) => {
        return [name, { path: `${folder}/${path}`, offsetBytes, sizeBytes }] as const;
      }),
    ),
  );
}

function rangesOf({ place }: GgufPart, places: ReadonlyMap<string, ByteRange>): ByteRange[] {
  const range = places.get(place.canonicalName);
  return range ? [range] : [];
}

async function writeTexts(
  files: PlannedTexts['files'],
  folder: string,
  kernels: Kernels,
  tracker: ProgressTracker,
): Promise<RestoredFile[]> {
  const written: RestoredFile[] = [];
  for (const { path, bytes } of files) {
    await nodeOutputFiles.writeFile(await nodeOutputFiles.prepare(folder, path), bytes);
    written.push(await digest(path, folder, kernels, tracker));
  }
  return written;
}

async function digest(name: string, folder: string, kernels: Kernels, tracker: ProgressTracker): Promise<RestoredFile> {
  const { sizeBytes, sha256 } = await kernels.digestFile(`${folder}/${name}`, tracker.call());
  return { name, bytes: sizeBytes, sha256 };
}

function checkFigures({ nanCount, infiniteCount, maxAbsError }: GgmlFigures, part: GgufPart, dtype: FloatDtype): void {
  const { file, place } = part;
  if (nanCount + infiniteCount > 0) {
    throw new NumericsError({
      code: 'NUMERICS_NOT_FINITE',
      what: `Tensor ${quoted(place.canonicalName)} in ${quoted(file)} has ${nanCount} weights that are NaN and ${infiniteCount} that are infinite.`,
      where: { file, tensor: place.canonicalName },
      whatToDo: 'Get the GGUF file again: a model with such weights does not work.',
    });
  }
  if (maxAbsError === Infinity) {
    throw new UsageError({
      code: 'USAGE_INVALID_ARGUMENT',
      what: `Tensor ${quoted(place.canonicalName)} in ${quoted(file)} has weights that are too large for ${dtype}.`,
      where: { file, tensor: place.canonicalName },
      whatToDo: 'Restore it with --dtype bf16 or f32.',
    });
  }
}

function errorsOf(figures: readonly GgmlFigures[]): { maxAbsError: number; relativeError: number } {
  const squares = figures.reduce((sum, tensor) => sum + tensor.squares, 0);
  const squaredError = figures.reduce((sum, tensor) => sum + tensor.squaredError, 0);
  return {
    maxAbsError: figures.reduce((largest, tensor) => Math.max(largest, tensor.maxAbsError), 0),
    relativeError: squares === 0 ? 0 : Math.sqrt(squaredError / squares),
  };
}

function describeRounding({ dtype, maxAbsError, relativeError }: NonNullable<RestoreResult['rounding']>): string {
  if (maxAbsError === 0) return `Every weight that the file decodes to is exact in ${dtype}.`;
  return `Rounding the decoded weights to ${dtype} changed them by at most ${maxAbsError.toExponential(2)}, by ${relativeError.toExponential(2)} relative to their root mean square.`;
}
