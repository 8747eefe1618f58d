import { expect, test } from 'vitest';
import { buildTokenFile, predictedIds } from '../../../../../core/formats/tokens/token-file.ts';
import type { VocabularyScores } from '../../../../../core/kernels/kernels.ts';
import { readTokenFile } from '../../../../helpers/read-token-file.ts';

const facts = { program: '1', model: 'm', reference: null, context: 3, addsBos: false };
const alone: VocabularyScores = {
  nll: Float64Array.of(0.5, 1.5, 2.5, 3.5),
  argmax: Int32Array.of(1, 9, 9, 5),
  rank: Int32Array.of(0, 4, 2, 0),
  kl: null,
  referenceNll: null,
  referenceArgmax: null,
};
const text = { text: 'größe.txt', windows: 2, ids: Int32Array.of(0, 1, 2, 3, 4, 5), scores: alone };

test('holds every token of the windows, and the figures of all but the first of each', () => {
  const { header, columns } = readTokenFile(buildTokenFile(facts, [text]));
  expect(header).toMatchObject({ version: 1, ...facts, texts: [{ text: 'größe.txt', windows: 2, predictions: 4 }] });
  expect(columns[0]).toEqual({
    token: [0, 1, 2, 3, 4, 5],
    nll: [0.5, 1.5, 2.5, 3.5],
    rank: [0, 4, 2, 0],
    // Tokens 1, 2, 4, 5 were predicted.
    flags: [1, 0, 0, 1],
  });
});

test('with a reference, flags tell who was right and whether both said the same', () => {
  const scores = {
    ...alone,
    kl: Float64Array.of(0, 0.25, 0.5, 0.75),
    referenceNll: Float64Array.of(1, 2, 3, 4),
    referenceArgmax: Int32Array.of(1, 2, 9, 0),
  };
  const { columns } = readTokenFile(buildTokenFile({ ...facts, reference: 'r' }, [{ ...text, scores }]));
  expect(columns[0]).toMatchObject({
    flags: [7, 2, 4, 1],
    kl: [0, 0.25, 0.5, 0.75],
    referenceNll: [1, 2, 3, 4],
  });
});

test('columns and data begin at multiples of 8, whatever the names are', () => {
  for (let length = 0; length < 9; length++) {
    const file = buildTokenFile({ ...facts, model: 'x'.repeat(length) }, [text, text]);
    const { dataStart, header, columns } = readTokenFile(file);
    expect(dataStart % 8).toBe(0);
    expect(file.length % 8).toBe(0);
    for (const { columns: described } of header.texts) {
      for (const { offset } of Object.values(described)) expect(offset % 8).toBe(0);
    }
    expect(columns[1]).toEqual(columns[0]);
  }
});

test('the first token of a window is not predicted', () => {
  expect([...predictedIds(Int32Array.of(0, 1, 2, 3, 4, 5, 6), 2, 3)]).toEqual([1, 2, 4, 5]);
});
