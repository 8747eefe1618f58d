import type { VerifiedTensor, VerifyResult } from '../../core/contract/results.ts';
import { NumericsError, serializeError, UsageError, type WorkbenchError } from '../../core/errors.ts';
import { decodableType } from '../../core/formats/gguf/ggml-types.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { storedTensor } from '../../core/methods/gguf/gguf-parts.ts';
import type { GgufModel, GgufModelTensor } from '../../core/model/gguf-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { JobOptions } from '../engine/job-options.ts';
import { fitThreads } from '../engine/memory-limit.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';

/**
 * Checks what there is to check of a GGUF file: its structure was found sound when it was opened; here every tensor is
 * read and decoded, and its weights must be numbers. The format has no checksums.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT where an original is given
 */
export async function verifyGguf(
  model: GgufModel,
  options: JobOptions & { against: string | null },
  kernels: Kernels,
): Promise<VerifyResult> {
  const usage = startUsage();
  if (options.against !== null) {
    throw new UsageError({
      code: 'USAGE_INVALID_ARGUMENT',
      what: 'The weights of a GGUF file are not those of the original, bit by bit; --against is for lossless folders.',
      whatToDo: 'Compare the models with "lathe evaluate --reference", or leave --against out.',
    });
  }
  const [file] = model.weightFiles;
  const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
  const tracker = createProgressTracker(threads, options.signal, options.onEvent);
  tracker.expect(file.sizeBytes + model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  tracker.stage('hash', file.path);
  const { sizeBytes, sha256 } = await kernels.digestFile(`${model.root}/${file.path}`, tracker.call());
  tracker.settle(sizeBytes);
  tracker.stage('decode');
  const faults: WorkbenchError[] = [];
  const tensors: VerifiedTensor[] = [];
  const unknown = model.tensors.filter(({ type }) => decodableType(type) === null);
  for (const tensor of model.tensors) {
    if (!unknown.includes(tensor)) tensors.push(await decode(tensor, model, kernels, tracker, faults));
    tracker.settle(tensor.sizeBytes);
  }
  tracker.finish();
  const [fault] = faults;
  return {
    schema: 1,
    ok: fault === undefined,
    format: model.kind,
    against: null,
    tensors,
    files: [{ name: file.path, bytes: sizeBytes, sha256, ok: null }],
    notes: [
      ...model.notes,
      'A GGUF file has no checksums: its structure was checked, and that its weights are numbers.',
      ...(unknown.length === 0 ? [] : [unknownNote(unknown)]),
    ],
    ...(await usage()),
    ...(fault ? { error: serializeError(fault) } : {}),
  };
}

async function decode(
  tensor: GgufModelTensor,
  model: GgufModel,
  kernels: Kernels,
  tracker: ProgressTracker,
  faults: WorkbenchError[],
): Promise<VerifiedTensor> {
  const { name, file, elements } = tensor;
  // As it is stored: where its rows belong does not matter here.
  const stored = storedTensor({ ...tensor, place: null }, model);
  const target = { kind: 'discard', sizeBytes: 4 * elements } as const;
  const { nanCount, infiniteCount } = await kernels.convertGgml(stored, 'F32', target, tracker.call());
  if (nanCount + infiniteCount === 0) return { name, ok: true, bitExact: null };
  const fault = new NumericsError({
    code: 'NUMERICS_NOT_FINITE',
    what: `Tensor ${quoted(name)} has ${nanCount} weights that are NaN and ${infiniteCount} that are infinite.`,
    where: { file, tensor: name },
    whatToDo: 'Get the GGUF file again: a model with such weights does not work.',
  });
  faults.push(fault);
  return { name, ok: false, bitExact: null, problem: fault.what };
}

function unknownNote(tensors: readonly GgufModelTensor[]): string {
  const types = [...new Set(tensors.map(({ type }) => type))].join(', ');
  return `${tensors.length} tensors were not decoded, because Lathe does not know their types: ${types}.`;
}
