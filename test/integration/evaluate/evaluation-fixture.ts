/** What the tests of evaluations share: a tiny model folder whose forward pass is made up, and jobs over it. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { scoreSequences } from '../../../core/evaluation/score-sequences.ts';
import { loadKernels } from '../../../native-kernels/index.ts';
import type { EvaluateOptions } from '../../../workers/engine/job-options.ts';
import type { MemoryRequest, OpenScorer, ScorerFacts, ScorerOptions } from '../../../workers/inference/scorer.ts';
import { evaluateJob } from '../../../workers/jobs/evaluate-job.ts';
import { planEvaluationJob } from '../../../workers/jobs/plan-evaluation-job.ts';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { fakeForwardPass } from '../../helpers/fake-forward-pass.ts';

export const kernels = loadKernels(fileURLToPath(new URL('../../../dist/native/lathe-kernels.node', import.meta.url)));

/** Letters, space and line feed, one token each. */
export const ALPHABET = [...'abcdefghijklmnopqrstuvwxyz', 'Ġ', 'Ċ'];

export function tokenizerJson(alphabet: readonly string[] = ALPHABET): string {
  return JSON.stringify({
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(alphabet.map((token, id) => [token, id])), merges: [] },
  });
}

/** A text of so many characters, so of as many tokens. */
export function letters(count: number, seed = 1): string {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return 'abcdefghij klmnop qrstuvwxyz\n'[Math.floor((state / 2 ** 32) * 29)];
  }).join('');
}

export interface FakeScorers {
  open: OpenScorer;
  opened: ScorerOptions[];
  reserved: MemoryRequest[];
  /** Sequences that were run, over all scorers. */
  sequences: number;
  closed: number;
}

interface FakeScorerOptions {
  facts?: Partial<ScorerFacts>;
  batch?: number;
  /** Of the memory, what they say that they take. */
  leastBytes?: number;
  /** Called before each batch. */
  onScore?: (sequencesBefore: number) => void | Promise<void>;
}

/** Scorers whose models are told apart by the first letter of their folders' names, and by their noise. */
export function fakeScorers({ facts = {}, batch = 3, leastBytes = 1, onScore }: FakeScorerOptions = {}): FakeScorers {
  const vocabularySize = facts.vocabularySize ?? ALPHABET.length;
  const fakes: FakeScorers = {
    opened: [],
    reserved: [],
    sequences: 0,
    closed: 0,
    open(options) {
      fakes.opened.push(options);
      const passOf = (path: string, noise: number) => {
        const name = path.split('/').at(-1) ?? '';
        return fakeForwardPass({ vocabularySize, seed: name.charCodeAt(0) + 1000 * noise }).pass;
      };
      const { model, reference, threads, noiseSeed } = options;
      const passes = {
        model: passOf(model, noiseSeed ?? 0),
        reference: reference === null ? null : passOf(reference, 0),
      };
      return Promise.resolve({
        facts: { vocabularySize, positions: null, ...facts },
        reserve(request) {
          fakes.reserved.push(request);
          const { limitBytes } = request;
          return Promise.resolve({ limitBytes, peakMemoryBytes: leastBytes, leastMemoryBytes: leastBytes });
        },
        batchSize: () => Promise.resolve(batch),
        async score(sequences, signal) {
          await onScore?.(fakes.sequences);
          signal.throwIfAborted();
          fakes.sequences += sequences.length;
          return scoreSequences(sequences, { ...passes, kernels, threads, maxLogitsBytes: 1 << 20 }, signal);
        },
        close() {
          fakes.closed++;
          return Promise.resolve();
        },
      });
    },
  };
  return fakes;
}

/** A test's folder with models "a" and "b" and texts; removed after it. */
export class EvaluationPlace {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'lathe-evaluate-')));
  readonly home = this.at('home');
  readonly events: JobEvent[] = [];

  at(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): string {
    mkdirSync(dirname(this.at(name)), { recursive: true });
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  /** A model folder: its weights are never read. */
  writeModel(name: string, tokenizer: string | null = tokenizerJson(), config: object = {}): string {
    this.write(`${name}/config.json`, JSON.stringify({ model_type: 'llama', ...config }));
    this.write(`${name}/model.safetensors`, buildSafetensors({ tensors: [{ name: 'w', dtype: 'F32', shape: [1] }] }));
    if (tokenizer !== null) this.write(`${name}/tokenizer.json`, tokenizer);
    return this.at(name);
  }

  options(parts: Partial<EvaluateOptions>): EvaluateOptions {
    return {
      model: this.at('a'),
      reference: null,
      texts: [],
      choices: null,
      context: 8,
      limitTokens: null,
      tokensOut: null,
      noiseFloorSeed: null,
      resume: false,
      force: false,
      threads: 1,
      memoryLimitBytes: null,
      signal: new AbortController().signal,
      onEvent: (event) => void this.events.push(event),
      ...parts,
    };
  }

  evaluate(parts: Partial<EvaluateOptions>, scorers: FakeScorers = fakeScorers()) {
    return evaluateJob(this.options(parts), kernels, this.home, scorers.open);
  }

  plan(parts: Partial<EvaluateOptions>, scorers: FakeScorers = fakeScorers()) {
    return planEvaluationJob(this.options(parts), kernels, scorers.open);
  }
}

/** A place for each test of a file. */
export function useEvaluationPlace(): () => EvaluationPlace {
  let place: EvaluationPlace | null = null;
  beforeEach(() => {
    place = new EvaluationPlace();
  });
  afterEach(() => {
    if (place) rmSync(place.folder, { recursive: true, force: true });
  });
  return () => {
    if (place === null) throw new Error('no test is running');
    return place;
  };
}
