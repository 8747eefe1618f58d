import { expect, test } from 'vitest';
import { NumericsError } from '../../../../core/errors.ts';
import {
  MAX_LOGITS_BYTES,
  rowsAtOnce,
  scoreSequences,
  type ScoringParts,
  type Sequence,
} from '../../../../core/evaluation/score-sequences.ts';
import { errorOf } from '../../../helpers/error-of.ts';
import { fakeForwardPass, plainVocabularyKernel, type FakePassOptions } from '../../../helpers/fake-forward-pass.ts';

const V = 19;
const { signal } = new AbortController();

function parts(change: Partial<ScoringParts> = {}, pass: Partial<FakePassOptions> = {}): ScoringParts {
  return {
    model: fakeForwardPass({ vocabularySize: V, ...pass }).pass,
    reference: null,
    kernels: plainVocabularyKernel,
    threads: 1,
    maxLogitsBytes: MAX_LOGITS_BYTES,
    ...change,
  };
}

function reference(seed: number) {
  return fakeForwardPass({ vocabularySize: V, seed }).pass;
}

function sequence(length: number, seed: number, from = 1, to = length): Sequence {
  return { ids: Int32Array.from({ length }, (_, index) => (seed * 31 + index * 7) % V), from, to };
}

/** Every prediction by itself: its prefix alone through the model. */
async function oneByOne(sequences: readonly Sequence[], seed: number): Promise<number[]> {
  const found: number[] = [];
  for (const { ids, from, to } of sequences) {
    for (let place = from; place < to; place++) {
      const { pass } = fakeForwardPass({ vocabularySize: V, seed });
      const states = await pass.hiddenStates([ids.subarray(0, place)], signal);
      const logits = await pass.logits(states.slice(-2), 1, signal);
      const scores = plainVocabularyKernel.scoreVocabulary(logits, null, V, ids.subarray(place, place + 1), 1);
      found.push(scores.nll[0]!);
    }
  }
  return found;
}

test('each token but the first is predicted from all before it', async () => {
  const sequences = [sequence(9, 1), sequence(9, 2), sequence(9, 3)];
  const scores = await scoreSequences(sequences, parts(), signal);
  expect([...scores.nll]).toEqual(await oneByOne(sequences, 1));
  expect(scores).toMatchObject({ kl: null, referenceNll: null, referenceArgmax: null });
});

test('sequences of different lengths and parts of sequences are scored as if each were alone', async () => {
  const sequences = [
    sequence(4, 1),
    sequence(11, 2, 3, 11),
    sequence(7, 3, 6, 7),
    sequence(2, 4),
    sequence(5, 5, 2, 2),
  ];
  const scores = await scoreSequences(sequences, parts(), signal);
  expect([...scores.nll]).toEqual(await oneByOne(sequences, 1));
});

test('nothing depends on how many rows of logits are made at a time', async () => {
  const sequences = [sequence(9, 1), sequence(9, 2), sequence(9, 3)];
  const expected = await scoreSequences(sequences, parts({ reference: reference(2) }), signal);
  expect([...expected.kl!].every((value) => value > 0)).toBe(true);
  expect([...expected.referenceNll!]).toEqual(await oneByOne(sequences, 2));
  for (const maxLogitsBytes of [1, 8 * V, 7 * 8 * V, 24 * 8 * V]) {
    const given = parts({ reference: reference(2), maxLogitsBytes });
    expect(await scoreSequences(sequences, given, signal)).toEqual(expected);
  }
  const few = parts({ reference: reference(2) }, { logitRows: 5 });
  expect(await scoreSequences(sequences, few, signal)).toEqual(expected);
});

test('logits of both models together stay within 512 MiB, whatever is asked for', () => {
  for (const vocabularySize of [32_000, 151_936, 262_144]) {
    for (const withReference of [false, true]) {
      const model = fakeForwardPass({ vocabularySize, logitRows: 1e9 }).pass;
      const rows = rowsAtOnce(parts({ model, reference: withReference ? model : null, maxLogitsBytes: 1e12 }));
      const bytes = rows * vocabularySize * 4 * (withReference ? 2 : 1);
      expect(bytes).toBeLessThanOrEqual(512 << 20);
      expect(bytes).toBeGreaterThan(500 << 20);
    }
  }
  const model = fakeForwardPass({ vocabularySize: 1 << 30, logitRows: 1e9 }).pass;
  expect(rowsAtOnce(parts({ model }))).toBe(1);
});

test('a model scored against itself does not diverge', async () => {
  const scores = await scoreSequences([sequence(12, 1)], parts({ reference: reference(1) }), signal);
  expect([...scores.kl!]).toEqual(new Array(11).fill(0));
  expect([...scores.argmax]).toEqual([...scores.referenceArgmax!]);
});

test('logits that are no numbers are laid at the arithmetic, for the weights were looked at before', async () => {
  const kernels = {
    scoreVocabulary: () => {
      const what = "The model's logit of token 3 in row 2 is inf.";
      throw new NumericsError({ code: 'NUMERICS_NOT_FINITE', what, whatToDo: 'Use another.' });
    },
  };
  const error = await errorOf(() => scoreSequences([sequence(4, 1)], parts({ kernels }), signal));
  expect(error.code).toBe('NUMERICS_NOT_FINITE');
  expect(error.what).toMatch(/^The model's logit of token 3 is inf\. All weights are numbers/);
});

test('a signal stops it', async () => {
  const controller = new AbortController();
  controller.abort(new Error('stopped'));
  await expect(scoreSequences([sequence(4, 1)], parts(), controller.signal)).rejects.toThrow('stopped');
});
