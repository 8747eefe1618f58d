import { resolve } from 'node:path';
import type { ExportResult } from '../../core/contract/export-result.ts';
import { KernelError, NumericsError, UsageError } from '../../core/errors.ts';
import { isPlainType } from '../../core/formats/gguf/ggml-types.ts';
import type { FloatDtype, GgmlType } from '../../core/kernels/kernels.ts';
import type { GptqFigures, QuantizeFigures, QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import {
  planGgufExport,
  type GgufExportPlan,
  type GgufExportTensor,
} from '../../core/methods/gguf/plan-gguf-export.ts';
import type { SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import type { Demand } from '../../core/scheduling/resource-pool.ts';
import type { Tokenizer } from '../../core/tokenizer/tokenizer.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { ExportGgufOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import { nodeOutputFiles } from '../engine/node-output-files.ts';
import { refuseExistingFile, writeOutputFile } from '../engine/output-file.ts';
import { removeSpent } from '../engine/output-folder.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createProgressTracker, type ProgressTracker } from '../engine/progress-tracker.ts';
import { importanceFor, type ExportImportance, type MeasureInputs, type TensorInput } from './export-importance.ts';
import { readExportedTokenizer } from './exported-tokenizer.ts';
import { openSource } from './open-source.ts';
import { verifyExportedGguf } from './verify-exported-gguf.ts';

/**
 * Writes a model as a GGUF file, and reads it back: every tensor is decoded and compared with the original, and texts are
 * given to its tokenizer.
 *
 * @throws as `openSource`, `planGgufExport`, `ggufTokenizerKeys`; UsageError USAGE_OUTPUT_IS_INPUT,
 * USAGE_INVALID_ARGUMENT (a weight that the type cannot hold); NumericsError NUMERICS_NOT_FINITE; VerificationError
 * VERIFY_FAILED; JobError as `writeOutputFile`. Nothing stays behind on failure
 */
export async function exportGgufJob(
  options: ExportGgufOptions,
  kernels: QuantizeKernels,
  measure: MeasureInputs,
): Promise<ExportResult> {
  const usage = startUsage();
  const { type, method, force, onEvent, signal } = options;
  onEvent({ event: 'stage', stage: 'plan' });
  const model = await openSource(options.model);
  const output = resolve(options.output);
  refuseInput(output, model);
  await removeSpent(output, 'export', kernels);
  await refuseExistingFile(output, force);
  const pool = poolOf(options);
  const demand = withFeedback(jobDemand(kernels, options.threads, model.tensors.length), options, model);
  const { threads } = pool.sizeOf(demand, 'this job');
  const source = options.hasTokenizer ? await readExportedTokenizer(model) : null;
  const plan = planGgufExport(model, {
    mix: type,
    name: nameOf(model.root),
    tokenizer: source?.keys ?? null,
    hasImportance: options.calibration !== null || options.imatrix !== null,
  });
  for (const message of plan.notes) onEvent({ event: 'note', message });
  const importance = await importanceFor(options, plan, threads, measure);
  const { inputs } = importance;
  const tracker = createProgressTracker(threads, signal, onEvent);
  tracker.expect(sumOf(plan.tensors, sourceBytes) + sumOf(plan.tensors, ({ sizeBytes }) => sizeBytes));
  const written = await withLease(options, pool, demand, 'this job', () =>
    writeOutputFile(output, 'export', { force, kernels, onEvent }, (path) =>
      writeAndVerify({ path, plan, model, tokenizer: source?.tokenizer ?? null, kernels, tracker, inputs, method }),
    ),
  );
  tracker.finish();
  return { ...describe(plan, written, model, options, output, importance), ...(await usage()) };
}

interface WritingParts {
  path: string;
  plan: GgufExportPlan;
  model: SafetensorsModel;
  tokenizer: Tokenizer | null;
  kernels: QuantizeKernels;
  tracker: ProgressTracker;
  /** What each linear map is given, by its tensor; empty: all columns count alike. */
  inputs: ReadonlyMap<string, TensorInput>;
  method: ExportGgufOptions['method'];
}

/** What became of a tensor. */
interface Quantized {
  figures: QuantizeFigures;
  /** Null where there was none. */
  feedback: GptqFigures | null;
}

interface Written {
  quantized: Quantized[];
  sha256: string;
}

async function writeAndVerify(parts: WritingParts): Promise<Written> {
  const { path, plan, model, tokenizer, kernels, tracker } = parts;
  const { file, tensors, tables } = plan;
  await nodeOutputFiles.setSize(path, file.fileBytes);
  await nodeOutputFiles.writeAt(path, file.header, 0);
  for (const [index, { bytes }] of tables.entries()) {
    await nodeOutputFiles.writeAt(path, bytes, file.offsets[tensors.length + index] ?? 0);
  }
  const quantized: Quantized[] = [];
  for (const [index, tensor] of tensors.entries()) {
    tracker.stage('quantize', tensor.name);
    const range = { path, offsetBytes: file.offsets[index] ?? 0, sizeBytes: tensor.sizeBytes };
    quantized.push(await quantize(tensor, range, parts));
    tracker.settle(sourceBytes(tensor));
  }
  await kernels.syncFile(path, tracker.call());
  tracker.stage('verify');
  const figures = quantized.map((of) => of.figures);
  await verifyExportedGguf({ path, plan, figures, model, tokenizer, kernels, tracker });
  const { sha256 } = await kernels.digestFile(path, tracker.call());
  return { quantized, sha256 };
}

/**
 * With two and three bits large weights decide what a layer makes of its input; with more, weighting them costs more than it
 * gives (measured on both sample models, docs/methods/quantization.md).
 */
function spreadOf(type: GgmlType): number | null {
  return type === 'Q2_K' || type === 'Q3_K' ? 2 : null;
}

type Answer = { figures: QuantizeFigures; feedback?: GptqFigures } | { refusal: string };

/** Damping of the Gram matrix, as GPTQ's authors take it. */
const DAMPING = 0.01;

async function quantize(
  tensor: GgufExportTensor,
  range: { path: string; offsetBytes: number; sizeBytes: number },
  { kernels, tracker, inputs, method }: WritingParts,
): Promise<Quantized> {
  const { canonicalName, type, source } = tensor;
  const input = isPlainType(type) ? undefined : inputs.get(canonicalName);
  const format = {
    type,
    importance: input?.importance ?? null,
    magnitudeSpread: input === undefined ? null : spreadOf(type),
  };
  const target = { kind: 'write' as const, ranges: [range] };
  const gram = method === 'gptq' ? (input?.gram ?? null) : null;
  if (method === 'gptq' && input !== undefined && gram === null) throw withoutGram(canonicalName);
  const call = tracker.call();
  const answer: Answer = await (
    gram === null
      ? kernels.quantizeGgml(source, format, target, call)
      : kernels.gptqGgml(source, { range: gram, damping: DAMPING, isOrdered: true }, format, target, call)
  ).catch((error: unknown) => {
    throw namingTensor(error, canonicalName);
  });
  if ('figures' in answer) return { figures: answer.figures, feedback: answer.feedback ?? null };
  throw new UsageError({
    code: 'USAGE_INVALID_ARGUMENT',
    what: `Tensor ${quoted(canonicalName)} cannot be ${type}: ${answer.refusal}.`,
    where: { tensor: canonicalName },
    whatToDo: 'Export it as BF16 or F32.',
  });
}

/** Native memory of error feedback, for each number of the Gram matrix. */
const FEEDBACK_BYTES = 16;

function withFeedback(demand: Demand, { method }: ExportGgufOptions, { tensors }: SafetensorsModel): Demand {
  if (method !== 'gptq') return demand;
  const widest = tensors.reduce((most, { shape }) => (shape.length > 1 ? Math.max(most, shape[1] ?? 0) : most), 0);
  return { ...demand, memoryBytes: (threads) => demand.memoryBytes(threads) + FEEDBACK_BYTES * widest * widest };
}

function withoutGram(tensor: string): KernelError {
  return new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `Tensor ${quoted(tensor)} was to be quantized by GPTQ, but it has no Gram matrix.`,
    where: { tensor },
    whatToDo: 'This is a fault in Lathe: please report it.',
  });
}

/** The kernel knows a place within the tensor, not the tensor. */
function namingTensor(error: unknown, tensor: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'NUMERICS_NOT_FINITE') return error;
  return new NumericsError({
    code: 'NUMERICS_NOT_FINITE',
    what: `Tensor ${quoted(tensor)} has a weight that is no number: ${'what' in error ? String(error.what) : error.message}`,
    where: { tensor },
    whatToDo: 'Get the model again: with such weights it does not work.',
    cause: error,
  });
}

function refuseInput(output: string, model: SafetensorsModel): void {
  const files = [...model.weightFiles, ...model.otherFiles].map(({ path }) => resolve(model.root, path));
  if (!files.includes(output) && output !== model.root) return;
  throw new UsageError({
    code: 'USAGE_OUTPUT_IS_INPUT',
    what: `The output "${output}" is ${output === model.root ? 'the model' : 'a file of the model'}.`,
    where: { file: output },
    whatToDo: 'Choose another output.',
  });
}

function describe(
  { tensors, tables, file, notes }: GgufExportPlan,
  { quantized, sha256 }: Written,
  model: SafetensorsModel,
  { type, method }: ExportGgufOptions,
  path: string,
  { calibration, imatrix, notes: ofImportance }: ExportImportance,
): Omit<ExportResult, 'seconds' | 'cpuSeconds' | 'peakRssBytes'> {
  const blocks = tensors.filter(({ isBlockMatrix }) => isBlockMatrix);
  const tensorBytes = sumOf(tensors, ({ sizeBytes }) => sizeBytes);
  const weights = sumOf(tensors, ({ elements }) => elements);
  return {
    schema: 1,
    format: 'gguf',
    type,
    method,
    calibration,
    imatrix,
    path,
    parameters: weights,
    storedBytes: tensorBytes + sumOf(tables, ({ bytes }) => bytes.length),
    fileBytes: file.fileBytes,
    sourceStoredBytes: sumOf(model.tensors, ({ sizeBytes }) => sizeBytes),
    bitsPerWeight: bitsPerWeight(tensorBytes, weights),
    bitsPerBlockWeight: bitsPerWeight(
      sumOf(blocks, ({ sizeBytes }) => sizeBytes),
      sumOf(blocks, ({ elements }) => elements),
    ),
    sha256,
    tensors: tensors.map(({ name, canonicalName, shape, type: stored, insteadOf, sizeBytes, elements }, index) => {
      const { figures, feedback } = quantized[index] ?? { figures: NO_FIGURES, feedback: null };
      const { squares, squaredError, maxAbsError } = figures;
      return {
        name,
        canonicalName,
        shape,
        type: stored,
        ...(insteadOf === null ? {} : { insteadOf }),
        storedBytes: sizeBytes,
        bitsPerWeight: bitsPerWeight(sizeBytes, elements),
        maxAbsError,
        relativeError: squares === 0 ? 0 : Math.sqrt(squaredError / squares),
        ...(feedback === null ? {} : { feedbackGain: gainOf(feedback) }),
      };
    }),
    notes: [...notes, ...ofImportance],
    verified: true,
  };
}

const NO_FIGURES = { squares: 0, squaredError: 0, maxAbsError: 0 };

function gainOf({ loss, nearestLoss }: GptqFigures): number {
  return nearestLoss === 0 ? 1 : loss / nearestLoss;
}

/** Dtypes that the plan took. */
const BYTES_OF: Readonly<Record<FloatDtype, number>> = { BF16: 2, F16: 2, F32: 4 };

function sourceBytes({ elements, source }: GgufExportTensor): number {
  return elements * BYTES_OF[source.type as FloatDtype];
}

function nameOf(root: string): string {
  return (
    root
      .split(/[/\\]/)
      .filter((part) => part !== '')
      .pop() ?? 'model'
  );
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
