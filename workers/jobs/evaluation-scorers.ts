import { totalmem } from 'node:os';
import type { EvaluateOptions } from '../engine/job-options.ts';
import type { OpenScorer, Scorer, ScorerOptions } from '../inference/scorer.ts';

/** Without a limit: the rest is for everybody else. */
const SHARE_OF_MEMORY = 0.75;

/** The scorers of one evaluation, opened when first asked for, one at a time. */
export class EvaluationScorers {
  readonly #options: EvaluateOptions;
  readonly #open: OpenScorer;
  #current: { kind: 'main' | 'noise'; scorer: Promise<Scorer> } | null = null;

  constructor(options: EvaluateOptions, open: OpenScorer) {
    this.#options = options;
    this.#open = open;
  }

  /** The model, and the reference beside it. */
  main(): Promise<Scorer> {
    const { model, reference } = this.#options;
    return this.#get('main', { model, reference, noiseSeed: null });
  }

  /** The reference with its weights moved at random, and the reference beside it. */
  noise(reference: string, noiseSeed: number): Promise<Scorer> {
    return this.#get('noise', { model: reference, reference, noiseSeed });
  }

  async #get(kind: 'main' | 'noise', which: Pick<ScorerOptions, 'model' | 'reference' | 'noiseSeed'>): Promise<Scorer> {
    if (this.#current?.kind === kind) return this.#current.scorer;
    await this.close();
    const { threads, memoryLimitBytes, signal } = this.#options;
    const memoryBytes = memoryLimitBytes ?? SHARE_OF_MEMORY * totalmem();
    const scorer = this.#open({ ...which, threads, memoryBytes }, signal);
    this.#current = { kind, scorer };
    return scorer;
  }

  /** Frees what is open; a scorer that failed to open has nothing to free. */
  async close(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    const scorer = await current?.scorer.catch(() => null);
    await scorer?.close();
  }
}
