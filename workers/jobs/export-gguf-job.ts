import { resolve } from 'node:path';
import type { ExportResult } from '../../core/contract/export-result.ts';
import type { GgufMix } from '../../core/contract/gguf-mixes.ts';
import { UsageError } from '../../core/errors.ts';
import type { QuantizeFigures, QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import { FILE_TYPES, typeInMix } from '../../core/methods/gguf/gguf-types.ts';
import { layOutGguf, planGgufExport, type GgufExportPlan } from '../../core/methods/gguf/plan-gguf-export.ts';
import type { SafetensorsModel } from '../../core/model/open-model.ts';
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
import { importanceFor, type ExportImportance, type MeasureInputs } from './export-importance.ts';
import { readExportedTokenizer } from './exported-tokenizer.ts';
import { openSource } from './open-source.ts';
import { nameOf } from './plan-quantized.ts';
import {
  gainOf,
  quantizedBytes,
  quantizeTensor,
  relativeErrorOf,
  withFeedback,
  type Quantized,
  type TensorInput,
} from './quantize-tensor.ts';
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
  options: ExportGgufOptions & { type: GgufMix },
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
  const plain = jobDemand(kernels, options.threads, model.tensors.length);
  const demand = method === 'gptq' ? withFeedback(plain, model.tensors) : plain;
  const { threads } = pool.sizeOf(demand, 'this job');
  const source = options.hasTokenizer ? await readExportedTokenizer(model) : null;
  const layout = layOutGguf(model);
  const mixFacts = { ...layout.facts, hasImportance: options.calibration !== null || options.imatrix !== null };
  const plan = planGgufExport(layout, {
    choose: (tensor) => typeInMix(tensor, type, mixFacts),
    fileType: FILE_TYPES[type],
    name: nameOf(model.root),
    tokenizer: source?.keys ?? null,
  });
  for (const message of plan.notes) onEvent({ event: 'note', message });
  // It leases what it takes by itself: before this job does.
  const importance = await importanceFor({ ...options, gram: method === 'gptq', threads }, plan.tensors, measure);
  const { inputs } = importance;
  const tracker = createProgressTracker(threads, signal, onEvent);
  tracker.expect(sumOf(plan.tensors, quantizedBytes) + sumOf(plan.tensors, ({ sizeBytes }) => sizeBytes));
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

interface Written {
  quantized: Quantized[];
  sha256: string;
}

async function writeAndVerify(parts: WritingParts): Promise<Written> {
  const { path, plan, model, tokenizer, kernels, tracker, inputs, method } = parts;
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
    const input = inputs.get(tensor.canonicalName);
    const target = { kind: 'write' as const, ranges: [range] };
    quantized.push(await quantizeTensor({ ...tensor, method, input }, target, kernels, tracker.call()));
    tracker.settle(quantizedBytes(tensor));
  }
  await kernels.syncFile(path, tracker.call());
  tracker.stage('verify');
  const figures = quantized.map((of) => of.figures);
  await verifyExportedGguf({ path, plan, figures, model, tokenizer, kernels, tracker });
  const { sha256 } = await kernels.digestFile(path, tracker.call());
  return { quantized, sha256 };
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
  { type, method }: ExportGgufOptions & { type: GgufMix },
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
      return {
        name,
        canonicalName,
        shape,
        type: stored,
        ...(insteadOf === null ? {} : { insteadOf }),
        storedBytes: sizeBytes,
        bitsPerWeight: bitsPerWeight(sizeBytes, elements),
        maxAbsError: figures.maxAbsError,
        relativeError: relativeErrorOf(figures),
        ...(feedback === null ? {} : { feedbackGain: gainOf(feedback) }),
      };
    }),
    notes: [...notes, ...ofImportance],
    verified: true,
  };
}

const NO_FIGURES: QuantizeFigures = {
  weights: 0,
  squares: 0,
  squaredError: 0,
  weightedSquares: 0,
  weightedError: 0,
  maxAbsError: 0,
};

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
