import type { InspectedTensor, InspectResult } from '../../core/contract/results.ts';
import { ModelError } from '../../core/errors.ts';
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
  const lathe = model.kind === 'dfloat11' && model.openedAs === 'folder' ? await readLatheFile(model.root) : null;
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const parts = await readCodedParts(model, nodeFileAccess, shapes);
  return parts.flatMap(({ tensors, file, method }) =>
    tensors.map(({ name, dtype, shape, storedBytes }) => {
      return { name, canonicalName: name, dtype, shape, storedBytes, file, method };
    }),
  );
}

async function addStatistics(
  result: InspectResult,
  model: OpenedModel,
  options: JobOptions & { model: string },
  kernels: Kernels,
): Promise<InspectResult> {
  if (model.kind !== 'safetensors') {
    throw new ModelError({
      code: 'MODEL_ALREADY_COMPRESSED',
      what: `${quoted(options.model)} is a ${model.kind} folder; statistics are read from plain weights.`,
      where: { file: options.model },
      whatToDo: 'Get the original back with "lathe restore", and inspect that.',
    });
  }
  const figures = await readStatistics(model, options, kernels);
  const { storedBytes: dfloat11Bytes } = predictDfloat11(model, { units: 'auto', skip: new Set() }, figures, kernels);
  return {
    ...result,
    tensors: result.tensors.map((tensor) => ({ ...tensor, ...publicFigures(figures.get(tensor.name)) })),
    losslessEstimate: { dfloat11Bytes, splitPlaneBytes: predictSplitPlane(model, new Set(), figures) },
  };
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
  return figures;
}

function publicFigures(figures: TensorStatistics | undefined): Partial<InspectedTensor> {
  if (!figures) return {};
  const { exponentEntropyBits, min, max, rms, zeroFraction, nanCount, infiniteCount } = figures;
  return { exponentEntropyBits, min, max, rms, zeroFraction, nanCount, infiniteCount };
}
