import type { InspectedTensor, InspectResult } from '../../core/contract/results.ts';
import { ModelError, WorkbenchError, type ErrorCode } from '../../core/errors.ts';
import { elementCount } from '../../core/formats/safetensors/tensor-size.ts';
import type { Kernels, TensorStatistics } from '../../core/kernels/kernels.ts';
import { readCodedParts } from '../../core/methods/lossless/coded-parts.ts';
import { predictDfloat11, predictSplitPlane } from '../../core/methods/lossless/predict-sizes.ts';
import { openModel, type OpenedModel, type SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { JobOptions } from '../engine/job-options.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { fitThreads } from '../engine/memory-limit.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { createProgressTracker } from '../engine/progress-tracker.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { listGgufTensors, readGgufStatistics } from './inspect-gguf.ts';

/** What a model throws that has no DFloat11 layout. */
const UNFIT: readonly ErrorCode[] = ['MODEL_NAME_COLLISION', 'RECIPE_NOT_SUPPORTED'];

/**
 * Tells what a model is made of, from its headers; with statistics it reads every weight once.
 *
 * @param kernels loaded only where statistics are asked for
 * @throws ModelError MODEL_ALREADY_COMPRESSED for statistics of a compressed folder; as `openModel`
 */
export async function inspectJob(
  options: JobOptions & { model: string; statistics: boolean },
  kernels: () => Kernels,
): Promise<InspectResult> {
  const model = await openModel(options.model, nodeFileAccess);
  stopIfAsked(options.signal);
  const tensors = await listTensors(model);
  const storedBytes = tensors.reduce((sum, tensor) => sum + tensor.storedBytes, 0);
  const result: InspectResult = {
    schema: 1,
    format: model.kind,
    architecture: model.architecture,
    parameters: model.parameters,
    storedBytes,
    fileBytes: [...model.weightFiles, ...model.otherFiles].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    bitsPerWeight: bitsPerWeight(storedBytes, model.parameters),
    tensors,
    notes: model.notes,
  };
  return options.statistics ? addStatistics(result, model, options, kernels()) : result;
}

async function listTensors(model: OpenedModel): Promise<InspectedTensor[]> {
  if (model.kind === 'gguf') return listGgufTensors(model);
  const lathe = model.kind === 'dfloat11' && model.openedAs === 'folder' ? await readLatheFile(model.root) : null;
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const parts = await readCodedParts(model, nodeFileAccess, shapes);
  return parts.flatMap(({ tensors, file, method }) =>
    tensors.map(({ name, dtype, shape, storedBytes }) => {
      const bits = bitsPerWeight(storedBytes, elementCount(shape) ?? 0);
      return { name, canonicalName: name, dtype, shape, storedBytes, bitsPerWeight: bits, file, method };
    }),
  );
}

async function addStatistics(
  result: InspectResult,
  model: OpenedModel,
  options: JobOptions & { model: string },
  kernels: Kernels,
): Promise<InspectResult> {
  if (model.kind === 'gguf') {
    const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
    const tracker = createProgressTracker(threads, options.signal, options.onEvent);
    const figures = await readGgufStatistics(model, kernels, tracker);
    return { ...result, tensors: result.tensors.map((tensor) => ({ ...tensor, ...figures.get(tensor.name) })) };
  }
  if (model.kind !== 'safetensors') {
    throw new ModelError({
      code: 'MODEL_ALREADY_COMPRESSED',
      what: `${quoted(options.model)} is a ${model.kind} folder; statistics are read from plain weights.`,
      where: { file: options.model },
      whatToDo: 'Get the original back with "lathe restore", and inspect that.',
    });
  }
  const figures = await readStatistics(model, options, kernels);
  const { dfloat11Bytes, problem } = tryDfloat11(model, figures, kernels);
  return {
    ...result,
    notes: problem === null ? result.notes : [...result.notes, `DFloat11 cannot hold this model. ${problem}`],
    tensors: result.tensors.map((tensor) => ({ ...tensor, ...publicFigures(figures.get(tensor.name)) })),
    losslessEstimate: { dfloat11Bytes, splitPlaneBytes: predictSplitPlane(model, new Set(), figures) },
  };
}

/** Some models have tensor names that the layout of DFloat11 cannot hold. */
function tryDfloat11(
  model: SafetensorsModel,
  figures: ReadonlyMap<string, TensorStatistics>,
  kernels: Kernels,
): { dfloat11Bytes: number | null; problem: string | null } {
  try {
    const { storedBytes } = predictDfloat11(model, { units: 'auto', skip: new Set() }, figures, kernels);
    return { dfloat11Bytes: storedBytes, problem: null };
  } catch (error) {
    if (!(error instanceof WorkbenchError) || !UNFIT.includes(error.code)) throw error;
    return { dfloat11Bytes: null, problem: error.what };
  }
}

async function readStatistics(
  model: SafetensorsModel,
  options: JobOptions,
  kernels: Kernels,
): Promise<Map<string, TensorStatistics>> {
  const threads = fitThreads(kernels, options.threads, model.tensors.length, options.memoryLimitBytes);
  const tracker = createProgressTracker(threads, options.signal, options.onEvent);
  tracker.expect(model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  tracker.stage('statistics');
  const figures = new Map<string, TensorStatistics>();
  for (const { name, dtype, file, offsetBytes, sizeBytes } of model.tensors) {
    const range = { path: `${model.root}/${file}`, offsetBytes, sizeBytes };
    figures.set(name, await kernels.tensorStatistics([range], dtype, tracker.call()));
    tracker.settle(sizeBytes);
  }
  tracker.finish();
  return figures;
}

function publicFigures(figures: TensorStatistics | undefined): Partial<InspectedTensor> {
  if (!figures) return {};
  const { exponentEntropyBits, min, max, rms, zeroFraction, nanCount, infiniteCount } = figures;
  return { exponentEntropyBits, min, max, rms, zeroFraction, nanCount, infiniteCount };
}
