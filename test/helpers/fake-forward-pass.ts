import type { ForwardPass } from '../../core/forward/forward-pass.ts';
import type { Kernels, VocabularyScores } from '../../core/kernels/kernels.ts';

export interface FakePassOptions {
  vocabularySize: number;
  seed?: number;
  batch?: number;
  logitRows?: number;
}

/**
 * A causal "model" without weights: a state is a number mixed from the token ids up to its place, and logits are numbers
 * drawn from it. As the real one, it gives views of buffers that the next call overwrites.
 */
export function fakeForwardPass({ vocabularySize, seed = 1, batch = 4, logitRows = 1000 }: FakePassOptions) {
  const hiddenSize = 2;
  const calls = { hiddenStates: 0, logits: 0, mostRows: 0, isClosed: false };
  let states = new Float32Array(0);
  let logitBuffer = new Float32Array(0);
  const pass: ForwardPass = {
    vocabularySize,
    hiddenSize,
    hiddenStates(windows, signal) {
      signal.throwIfAborted();
      calls.hiddenStates++;
      states.fill(NaN);
      const length = windows[0]?.length ?? 0;
      if (windows.some((window) => window.length !== length)) throw new Error('windows of different lengths');
      states = new Float32Array(windows.length * length * hiddenSize);
      windows.forEach((window, index) => {
        let mixed = seed;
        window.forEach((id, place) => {
          mixed = mix(mixed ^ Math.imul(id + 1, 0x9e3779b1));
          states.set([mixed >>> 16, mixed & 0xffff], (index * length + place) * hiddenSize);
        });
      });
      return Promise.resolve(states);
    },
    logits(hidden, rows, signal) {
      signal.throwIfAborted();
      calls.logits++;
      calls.mostRows = Math.max(calls.mostRows, rows);
      if (hidden.length !== rows * hiddenSize || rows > logitRows) throw new Error('rows and states disagree');
      logitBuffer.fill(NaN);
      logitBuffer = new Float32Array(rows * vocabularySize);
      for (let row = 0; row < rows; row++) {
        let mixed = (hidden[2 * row]! * 65536 + hidden[2 * row + 1]!) | 0;
        for (let token = 0; token < vocabularySize; token++) {
          mixed = mix(mixed + token);
          logitBuffer[row * vocabularySize + token] = (mixed >>> 0) / 2 ** 29 - 4;
        }
      }
      return Promise.resolve(logitBuffer);
    },
    batchSize: () => batch,
    logitRows: () => logitRows,
    close() {
      calls.isClosed = true;
      return Promise.resolve();
    },
  };
  return { pass, calls };
}

function mix(value: number): number {
  const once = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return twice ^ (twice >>> 16);
}

/** The vocabulary kernel in plain double precision. */
export const plainVocabularyKernel: Pick<Kernels, 'scoreVocabulary'> = {
  scoreVocabulary(logits, reference, vocabularySize, targets): VocabularyScores {
    const rows = [...targets.keys()];
    const q = rows.map((row) => logProbabilities(logits, row, vocabularySize));
    const p = reference && rows.map((row) => logProbabilities(reference, row, vocabularySize));
    const divergence = (of: number[], from: number[]) =>
      of.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - from[token]!), 0);
    return {
      nll: Float64Array.from(rows, (row) => -q[row]![targets[row]!]!),
      argmax: Int32Array.from(rows, (row) => argmaxOf(q[row]!)),
      rank: Int32Array.from(rows, (row) => q[row]!.filter((value) => value > q[row]![targets[row]!]!).length),
      kl: p && Float64Array.from(rows, (row) => divergence(p[row]!, q[row]!)),
      referenceNll: p && Float64Array.from(rows, (row) => -p[row]![targets[row]!]!),
      referenceArgmax: p && Int32Array.from(rows, (row) => argmaxOf(p[row]!)),
    };
  },
};

function logProbabilities(logits: Float32Array, row: number, size: number): number[] {
  const values = [...logits.subarray(row * size, (row + 1) * size)];
  const greatest = Math.max(...values);
  const logSum = greatest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - greatest), 0));
  return values.map((value) => value - logSum);
}

function argmaxOf(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
