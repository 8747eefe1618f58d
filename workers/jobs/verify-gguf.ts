import type { LatheFile } from '../../core/contract/lathe-file.ts';
import type { VerifiedTensor, VerifyResult } from '../../core/contract/results.ts';
import { NumericsError, serializeError, VerificationError, type WorkbenchError } from '../../core/errors.ts';
import { decodableType } from '../../core/formats/gguf/ggml-types.ts';
import type { FloatDtype, GgmlFigures, Kernels } from '../../core/kernels/kernels.ts';
import { ggufParts, storedTensor } from '../../core/methods/gguf/gguf-parts.ts';
import { CONFIG_TABLES } from '../../core/model/gguf-config.ts';
import type { GgufModel, GgufModelTensor } from '../../core/model/gguf-model.ts';
import { hasTiedEmbeddings } from '../../core/model/model-config.ts';
import type { SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { JobOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { originalTensors, type OriginalTensors } from './compare-parts.ts';
import { openSource } from './open-source.ts';

const FLOAT_DTYPES: readonly string[] = ['BF16', 'F16', 'F32'] satisfies FloatDtype[];

/**
 * Checks what there is to check of a GGUF file: its structure was found sound when it was opened; here every tensor is
 * read and decoded, and its weights must be numbers. The format has no checksums; of a folder that Lathe wrote `lathe.json`
 * has them. With the model that it was made from, says how far each tensor is from it: as far as `lathe.json` says.
 *
 * @throws as `openSource` and, with an original, as `ggufParts`
 */
export async function verifyGguf(
  model: GgufModel,
  lathe: LatheFile | null,
  options: JobOptions & { against: string | null },
  kernels: Kernels,
): Promise<VerifyResult> {
  const usage = startUsage();
  const original = options.against === null ? null : await openSource(options.against);
  // Every tensor must have its place before any is compared.
  if (original) ggufParts(model);
  const [file] = model.weightFiles;
  const pool = poolOf(options);
  const demand = jobDemand(kernels, options.threads, model.tensors.length);
  const { threads } = pool.sizeOf(demand, 'this job');
  const tracker = createProgressTracker(threads, options.signal, options.onEvent);
  tracker.expect(file.sizeBytes + model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const faults: WorkbenchError[] = [];
  const originals = original && originalTensors(original);
  const stated = new Map((lathe?.tensors ?? []).map(({ name, error }) => [name, error]));
  const unknown = model.tensors.filter(({ type }) => decodableType(type) === null);
  const known = model.tensors.filter((tensor) => !unknown.includes(tensor));
  const { sizeBytes, sha256, tensors } = await withLease(options, pool, demand, 'this job', async () => {
    tracker.stage('hash', file.path);
    const digest = await kernels.digestFile(`${model.root}/${file.path}`, tracker.call());
    tracker.settle(digest.sizeBytes);
    tracker.stage('decode');
    const checked: VerifiedTensor[] = [];
    for (const tensor of known) {
      checked.push(await check(tensor, { model, originals, kernels, tracker, faults, stated }));
      tracker.settle(tensor.sizeBytes);
    }
    return { ...digest, tensors: checked };
  });
  const recorded = lathe?.output.files.find(({ path }) => path === file.path)?.sha256 ?? null;
  if (recorded !== null && recorded !== sha256) faults.unshift(changedFile(file.path, sha256, recorded));
  const isIntact = recorded === null ? null : recorded === sha256;
  if (original && originals) faults.push(...lostTensors(model, original, originals));
  tracker.finish();
  const [fault] = faults;
  return {
    schema: 1,
    ok: fault === undefined,
    format: model.kind,
    against: original?.root ?? null,
    tensors,
    files: [{ name: file.path, bytes: sizeBytes, sha256, ok: isIntact }],
    notes: [
      ...model.notes,
      ...(recorded === null ? [NO_CHECKSUMS] : []),
      ...(unknown.length === 0 ? [] : [unknownNote(unknown)]),
    ],
    ...(await usage()),
    ...(fault ? { error: serializeError(fault) } : {}),
  };
}

const NO_CHECKSUMS = 'A GGUF file has no checksums: its structure was checked, and that its weights are numbers.';
/** Sums of the same terms in another order. */
const SUM_TOLERANCE = 1e-9;

interface CheckTools {
  model: GgufModel;
  originals: OriginalTensors | null;
  kernels: Kernels;
  tracker: ProgressTracker;
  faults: WorkbenchError[];
  /** The relative errors that `lathe.json` tells, by name. */
  stated: ReadonlyMap<string, number>;
}

async function check(tensor: GgufModelTensor, tools: CheckTools): Promise<VerifiedTensor> {
  const { originals, model, kernels, tracker } = tools;
  const isCompared = originals !== null && !CONFIG_TABLES.includes(tensor.name);
  if (isCompared) return compare(tensor, originals, tools);
  // As it is stored: where its rows belong does not matter here.
  const stored = storedTensor({ ...tensor, place: null }, model);
  const target = { kind: 'discard', sizeBytes: 4 * tensor.elements } as const;
  const figures = await kernels.convertGgml(stored, 'F32', target, tracker.call());
  return notFinite(tensor, figures, tools) ?? { name: tensor.name, ok: true, bitExact: null };
}

async function compare(
  tensor: GgufModelTensor,
  originals: OriginalTensors,
  tools: CheckTools,
): Promise<VerifiedTensor> {
  const { name, shape, place } = tensor;
  const { model, kernels, tracker, faults } = tools;
  const original = originals.get(place?.canonicalName ?? name);
  const expected = (place?.shape ?? shape).join(', ');
  const dtype = FLOAT_DTYPES.find((known) => known === original?.dtype) as FloatDtype | undefined;
  if (original?.shape.join(', ') !== expected || dtype === undefined) {
    const found = original ? `${original.dtype} [${original.shape.join(', ')}]` : 'no such tensor';
    const fault = differs(tensor, `decodes to floats [${expected}], but the original has ${found}`);
    faults.push(fault);
    return { name, ok: false, bitExact: false, problem: fault.what };
  }
  const figures = await kernels.compareGgml(storedTensor(tensor, model), dtype, original.range, tracker.call());
  const { maxAbsError, squares, squaredError } = figures;
  if (!Number.isFinite(maxAbsError)) {
    const fault = differs(tensor, 'has weights that are NaN or infinite, where the original has numbers');
    faults.push(fault);
    return { name, ok: false, bitExact: false, problem: fault.what };
  }
  const relativeError = squares === 0 ? 0 : Math.sqrt(squaredError / squares);
  const told = tools.stated.get(name);
  if (told !== undefined && !(Math.abs(relativeError - told) <= SUM_TOLERANCE * told)) {
    const fault = differs(tensor, `is off by ${relativeError}, where "lathe.json" says ${told}`);
    faults.push(fault);
    return { name, ok: false, bitExact: false, maxAbsError, relativeError, problem: fault.what };
  }
  return { name, ok: true, bitExact: maxAbsError === 0, maxAbsError, relativeError };
}

/** The verdict on a tensor with weights that are no numbers; null for any other. */
function notFinite(
  { name, file }: GgufModelTensor,
  { nanCount, infiniteCount }: GgmlFigures,
  { faults }: CheckTools,
): VerifiedTensor | null {
  if (nanCount + infiniteCount === 0) return null;
  const fault = new NumericsError({
    code: 'NUMERICS_NOT_FINITE',
    what: `Tensor ${quoted(name)} has ${nanCount} weights that are NaN and ${infiniteCount} that are infinite.`,
    where: { file, tensor: name },
    whatToDo: 'Get the GGUF file again: a model with such weights does not work.',
  });
  faults.push(fault);
  return { name, ok: false, bitExact: null, problem: fault.what };
}

/** Tensors of the original that the GGUF file does not have; a tied output matrix need not be there. */
function lostTensors(model: GgufModel, original: SafetensorsModel, originals: OriginalTensors): WorkbenchError[] {
  const stored = new Set(model.tensors.map(({ name, place }) => place?.canonicalName ?? name));
  const isTied = hasTiedEmbeddings(original.config, new Set(originals.keys()));
  return [...originals.keys()]
    .filter((name) => !stored.has(name) && !(isTied && name === 'lm_head.weight'))
    .map(
      (name) =>
        new VerificationError({
          code: 'VERIFY_FAILED',
          what: `Tensor ${quoted(name)} of the original is not in the GGUF file.`,
          where: { tensor: name },
          whatToDo: 'Check that this is the model that it was made from.',
        }),
    );
}

function changedFile(file: string, found: string, expected: string): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: `${quoted(file)} has SHA-256 ${found}, expected ${expected}.`,
    where: { file },
    whatToDo: 'This folder is damaged: get it again.',
  });
}

function differs({ name, file }: GgufModelTensor, found: string): VerificationError {
  return new VerificationError({
    code: 'VERIFY_FAILED',
    what: `Tensor ${quoted(name)} ${found}.`,
    where: { file, tensor: name },
    whatToDo: 'Check that this is the model that it was made from.',
  });
}

function unknownNote(tensors: readonly GgufModelTensor[]): string {
  const types = [...new Set(tensors.map(({ type }) => type))].join(', ');
  return `${tensors.length} tensors were not decoded, because Lathe does not know their types: ${types}.`;
}
