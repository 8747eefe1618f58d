import type { EncodeStep, Recipe } from '../../core/contract/recipe.ts';
import { assertNever } from '../../core/errors.ts';
import { planDfloat11Work } from '../../core/methods/lossless/dfloat11-work.ts';
import { planSplitPlaneWork } from '../../core/methods/lossless/split-plane-work.ts';
import type { LosslessWork, WorkContext } from '../../core/methods/lossless/work.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import type { Compression } from './compression.ts';
import { describeOutput } from './compress-documents.ts';
import { hashedFiles, verificationBytes, verifyNewOutput } from './verify-new-output.ts';

/**
 * The compression of an encode step. Nothing is read or written yet.
 *
 * @throws UsageError RECIPE_INVALID_PATTERN, RECIPE_INVALID_VALUE; ModelError MODEL_NAME_COLLISION
 */
export function planLossless(context: WorkContext, recipe: Recipe, step: EncodeStep, threads: number): Compression {
  const { model, kernels } = context;
  const work = planWork(context, recipe, step);
  return {
    demand: jobDemand(kernels, threads, model.tensors.length),
    storedBytes: null,
    usesGptq: false,
    notes: [],
    prepare: () =>
      Promise.resolve({
        ...work,
        // Until the output is there, its files are taken to be as large as the model's.
        verificationBytes: async (finished) => {
          const files =
            finished === null ? [...model.weightFiles, ...model.otherFiles] : await hashedFiles(finished, context);
          return verificationBytes(model, files);
        },
        verify: (finished, tracker) => verifyNewOutput(finished, context, tracker),
        describe: (finished, { outputFiles, sourceFiles }) => {
          return describeOutput({ ...finished, sourceFiles }, outputFiles, model, recipe, { method: step.codec });
        },
      }),
  };
}

function planWork(context: WorkContext, recipe: Recipe, step: EncodeStep): LosslessWork {
  switch (step.codec) {
    case 'dfloat11':
      return planDfloat11Work(context, recipe, step);
    case 'split-plane':
      return planSplitPlaneWork(context, recipe, step);
    default:
      return assertNever(step, 'codec');
  }
}
