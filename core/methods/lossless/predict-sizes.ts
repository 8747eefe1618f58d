import { planUnits, type UnitOptions } from '../../formats/dfloat11/plan-units.ts';
import type { Kernels, TensorStatistics } from '../../kernels/kernels.ts';
import type { ModelTensor, SafetensorsModel } from '../../model/open-model.ts';

/** What a tensor's exponents are like: counted over all of it, or over a sample and scaled up. */
export type TensorFigures = Pick<TensorStatistics, 'exponentHistogram' | 'splitPlaneBytes'>;

/**
 * The stored bytes of a model as DFloat11, from the exponents of its tensors.
 *
 * @param figures of every tensor, by name
 * @returns whole-model payload (units, and what stays plain), and notes on what would stay plain and why
 * @throws UsageError, ModelError as `planUnits`
 */
export function predictDfloat11(
  model: SafetensorsModel,
  options: Pick<UnitOptions, 'units' | 'skip'>,
  figures: ReadonlyMap<string, TensorFigures>,
  kernels: Kernels,
): { storedBytes: number; notes: string[] } {
  const plan = planUnits(model.tensors, { ...options, tiedEmbeddings: model.tiedEmbeddings });
  const notes = [...plan.notes];
  let storedBytes = sumOf(plan.remainder);
  for (const { module, tensors, companions } of plan.units) {
    const predicted = kernels.predictDfloat11(addHistograms(tensors, figures));
    storedBytes += sumOf(companions);
    if ('refusal' in predicted) {
      notes.push(`Unit "${module}" stays plain: ${predicted.refusal}.`);
      storedBytes += sumOf(tensors);
    } else {
      storedBytes += predicted.storedBytes + 8 * (tensors.length - 1);
    }
  }
  return { storedBytes, notes };
}

/** The stored bytes of a model as split-plane; skipped tensors are stored raw. */
export function predictSplitPlane(
  model: SafetensorsModel,
  skip: ReadonlySet<string>,
  figures: ReadonlyMap<string, TensorFigures>,
): number {
  return model.tensors.reduce((sum, { name, sizeBytes }) => {
    return sum + (skip.has(name) ? sizeBytes : (figures.get(name)?.splitPlaneBytes ?? sizeBytes));
  }, 0);
}

function addHistograms(tensors: readonly ModelTensor[], figures: ReadonlyMap<string, TensorFigures>): number[] {
  const sum = new Array<number>(256).fill(0);
  for (const { name } of tensors) {
    for (const [exponent, count] of (figures.get(name)?.exponentHistogram ?? []).entries()) {
      sum[exponent] = (sum[exponent] ?? 0) + count;
    }
  }
  return sum;
}

function sumOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
