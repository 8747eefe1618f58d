import type { EvaluationMemory } from '../../core/contract/evaluation-result.ts';
import type { EvaluateOptions } from '../engine/job-options.ts';
import type { MemoryRequest, OpenScorer, Scorer, ScorerOptions } from '../inference/scorer.ts';

type Asked = Pick<ScorerOptions, 'model' | 'reference' | 'noiseSeed'>;

/** The scorers of one evaluation, opened when first asked for, one at a time. */
export class EvaluationScorers {
  readonly #options: EvaluateOptions;
  readonly #open: OpenScorer;
  #current: { kind: 'main' | 'noise'; scorer: Promise<Scorer> } | null = null;
  #request: MemoryRequest | null = null;

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

  /** Shares the memory out in the main scorer now, and in others when they are opened. */
  async reserve(request: MemoryRequest): Promise<EvaluationMemory> {
    const scorer = await this.main();
    this.#request = request;
    return scorer.reserve(request);
  }

  async #get(kind: 'main' | 'noise', asked: Asked): Promise<Scorer> {
    if (this.#current?.kind === kind) return this.#current.scorer;
    await this.close();
    const { threads, signal } = this.#options;
    const request = this.#request;
    const scorer = this.#open({ ...asked, threads }, signal).then(async (opened) => {
      if (request !== null) await opened.reserve(request);
      return opened;
    });
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
