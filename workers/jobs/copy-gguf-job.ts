import { resolve } from 'node:path';
import type { ExportedTensor, ExportResult } from '../../core/contract/export-result.ts';
import type { LatheFile } from '../../core/contract/lathe-file.ts';
import { deserializeError, UsageError, VerificationError, WorkbenchError } from '../../core/errors.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import { openModel } from '../../core/model/open-model.ts';
import type { GgufModel } from '../../core/model/gguf-model.ts';
import { quoted } from '../../core/quoted.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { ExportGgufOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { refuseExistingFile, writeOutputFile } from '../engine/output-file.ts';
import { startUsage } from '../engine/process-usage.ts';
import { openCompressed } from './open-compressed.ts';
import { verifyGguf } from './verify-gguf.ts';

/**
 * Exports a folder that was quantized to GGUF: its file as it is, every tensor of the copy decoded, its SHA-256 the recorded
 * one.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT for anything else; VerificationError VERIFY_FAILED; as `writeOutputFile`
 */
export async function copyGgufJob(options: ExportGgufOptions, kernels: QuantizeKernels): Promise<ExportResult> {
  const usage = startUsage();
  const { force, onEvent, signal, threads } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const { model, lathe } = await openQuantized(options.model);
  const output = resolve(options.output);
  await refuseExistingFile(output, force);
  const [file] = model.weightFiles;
  const recorded = lathe.output.files.find(({ path }) => path === file.path)?.sha256;
  const sha256 = await writeOutputFile(output, 'export', { force, kernels, onEvent }, async (path) => {
    onEvent({ event: 'stage', stage: 'copy', detail: file.path });
    const copied = await kernels.copyFile(`${model.root}/${file.path}`, path, { threads, signal });
    if (copied.sha256 !== recorded) throw changed(file.path, copied.sha256);
    const written = await openModel(path, nodeFileAccess, { unfinished: true });
    if (written.kind !== 'gguf') throw changed(file.path, copied.sha256);
    const { error, files } = await verifyGguf(written, null, { ...options, against: null }, kernels);
    if (error !== undefined) throw deserializeError(error);
    if (files[0]?.sha256 !== recorded) throw changed(file.path, files[0]?.sha256 ?? '');
    return copied.sha256;
  });
  return { ...describe(model, lathe, output), sha256, ...(await usage()) };
}

async function openQuantized(path: string): Promise<{ model: GgufModel; lathe: LatheFile }> {
  const opened = await openCompressed(path).catch((error: unknown) => {
    if (error instanceof WorkbenchError && error.code === 'MODEL_NOT_COMPRESSED') return null;
    throw error;
  });
  if (opened?.model.kind === 'gguf' && opened.lathe?.method === 'gguf') {
    return { model: opened.model, lathe: opened.lathe };
  }
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `${quoted(path)} is no folder that a recipe has quantized, so that its weights have no block types yet.`,
    where: { file: path },
    whatToDo: 'Say with --type what they are to become.',
  });
}

function describe(
  model: GgufModel,
  { source, output, tensors, quantization, recipe, notes }: LatheFile,
  path: string,
): Omit<ExportResult, 'sha256' | 'seconds' | 'cpuSeconds' | 'peakRssBytes'> {
  const weightsOf = (shape: readonly number[]) => shape.reduce((product, dimension) => product * dimension, 1);
  const blocks = tensors.filter(({ name, shape }) => name.startsWith('blk.') && shape.length > 1);
  const sumOf = (valueOf: (tensor: LatheFile['tensors'][number]) => number) =>
    blocks.reduce((sum, tensor) => sum + valueOf(tensor), 0);
  const [step] = recipe.steps;
  const calibration = quantization?.calibration ?? null;
  const imatrix = quantization?.imatrix ?? null;
  return {
    schema: 1,
    format: 'gguf',
    type: 'as quantized',
    method: step?.step === 'quantize' && step.method === 'gptq' ? 'gptq' : 'rtn',
    calibration: calibration && { ...calibration, texts: calibration.texts.map(({ file }) => file) },
    imatrix: imatrix && { file: imatrix.file, datasets: [], chunks: null, chunkSize: null },
    path,
    parameters: model.parameters,
    storedBytes: output.storedBytes,
    fileBytes: model.weightFiles[0].sizeBytes,
    sourceStoredBytes: source.storedBytes,
    bitsPerWeight: output.bitsPerWeight,
    bitsPerBlockWeight: bitsPerWeight(
      sumOf(({ storedBytes }) => storedBytes),
      sumOf(({ shape }) => weightsOf(shape)),
    ),
    tensors: tensors.map(({ name, canonicalName, shape, method, storedBytes, error }): ExportedTensor => {
      const bits = bitsPerWeight(storedBytes, weightsOf(shape));
      return { name, canonicalName, shape, type: method, storedBytes, bitsPerWeight: bits, relativeError: error };
    }),
    notes,
    verified: true,
  };
}

function changed(file: string, sha256: string): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: `${quoted(file)} has SHA-256 ${sha256}, which is not the one that was recorded when it was written.`,
    where: { file },
    whatToDo: 'Compress the model again: this folder is damaged.',
  });
}
