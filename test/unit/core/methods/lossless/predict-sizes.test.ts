import { expect, test } from 'vitest';
import type { Kernels } from '../../../../../core/kernels/kernels.ts';
import {
  predictDfloat11,
  predictSplitPlane,
  type TensorFigures,
} from '../../../../../core/methods/lossless/predict-sizes.ts';
import type { SafetensorsModel } from '../../../../../core/model/open-model.ts';
import { llamaTensors } from '../../../../helpers/llama-tensors.ts';

const TENSORS = llamaTensors({ layers: 2, hidden: 4, intermediate: 8, keys: 2, vocabulary: 8, tied: true });
const MODEL = { tensors: TENSORS, tiedEmbeddings: true } as unknown as SafetensorsModel;
const FIGURES = new Map(
  TENSORS.map(({ name, sizeBytes }): [string, TensorFigures] => {
    const exponentHistogram = Array.from({ length: 256 }, (_, exponent) => (exponent === 120 ? sizeBytes / 2 : 0));
    return [name, { exponentHistogram, splitPlaneBytes: Math.ceil(sizeBytes / 2) }];
  }),
);
const TOTAL = TENSORS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
const LAYER = 2 * (4 * 4 + 4 * 2 + 4 * 2 + 4 * 4 + 3 * 4 * 8);

/** Predicts a byte for each weight, but refuses units of more than `most`. */
function kernelsUpTo(most: number): Kernels {
  return {
    predictDfloat11(histogram: number[]) {
      const elements = histogram.reduce((sum, count) => sum + count, 0);
      return elements > most ? { refusal: 'it is too large' } : { storedBytes: elements };
    },
  } as unknown as Kernels;
}

test('DFloat11 takes what its units take, their split positions, and what stays plain', () => {
  const options = { units: 'auto' as const, skip: new Set<string>() };
  const { storedBytes, notes } = predictDfloat11(MODEL, options, FIGURES, kernelsUpTo(Infinity));
  expect(storedBytes).toBe(TOTAL - 2 * LAYER + 2 * (LAYER / 2 + 8 * 6));
  expect(notes).toEqual([]);
});

test('a unit that is refused stays plain, with a note', () => {
  const options = { units: 'auto' as const, skip: new Set<string>() };
  const { storedBytes, notes } = predictDfloat11(MODEL, options, FIGURES, kernelsUpTo(10));
  expect(storedBytes).toBe(TOTAL);
  expect(notes).toEqual([
    'Unit "model.layers.0" stays plain: it is too large.',
    'Unit "model.layers.1" stays plain: it is too large.',
  ]);
});

test('split-plane takes what its planes take; skipped tensors and those not looked at are raw', () => {
  const [first] = TENSORS;
  const half = TENSORS.reduce((sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / 2), 0);
  expect(predictSplitPlane(MODEL, new Set(), FIGURES)).toBe(half);
  expect(predictSplitPlane(MODEL, new Set([first!.name]), FIGURES)).toBe(half + Math.floor(first!.sizeBytes / 2));
  expect(predictSplitPlane(MODEL, new Set(), new Map())).toBe(TOTAL);
});
