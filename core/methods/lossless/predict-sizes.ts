import { planUnits, type UnitOptions } from '../../formats/dfloat11/plan-units.ts';
import type { Kernels, TensorStatistics } from '../../kernels/kernels.ts';
import type { ModelTensor, SafetensorsModel } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';

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
    storedBytes += sumOf(companions);
    const predicted = predictUnit(tensors, figures, kernels);
    if ('refusal' in predicted) {
      notes.push(`Unit ${quoted(module)} stays plain: ${predicted.refusal}.`);
      storedBytes += sumOf(tensors);
      continue;
    }
    storedBytes += predicted.storedBytes;
    for (const [tensor, why] of predicted.refused) notes.push(`Tensor ${quoted(tensor)} stays plain: ${why}.`);
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

/** As a run does it: tensors that cannot be held alone are left out of their unit. */
function predictUnit(
  tensors: readonly ModelTensor[],
  figures: ReadonlyMap<string, TensorFigures>,
  kernels: Kernels,
): { storedBytes: number; refused: [tensor: string, why: string][] } | { refusal: string } {
  const predict = (some: readonly ModelTensor[]) => kernels.predictDfloat11(addHistograms(some, figures));
  const splitBytes = (some: readonly ModelTensor[]) => 8 * (some.length - 1);
  const all = predict(tensors);
  if ('storedBytes' in all) return { storedBytes: all.storedBytes + splitBytes(tensors), refused: [] };
  const refused: [string, string][] = [];
  const rest = tensors.filter((tensor) => {
    const alone = predict([tensor]);
    if ('refusal' in alone) refused.push([tensor.name, alone.refusal]);
    return 'storedBytes' in alone;
  });
  const again = refused.length > 0 && rest.length > 0 ? predict(rest) : all;
  if ('refusal' in again) return { refusal: all.refusal };
  return { storedBytes: again.storedBytes + splitBytes(rest) + sumOf(tensors) - sumOf(rest), refused };
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
