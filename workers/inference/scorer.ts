import type { EvaluationMemory } from '../../core/contract/evaluation-result.ts';
import type { MemoryShare } from '../../core/evaluation/evaluation-memory.ts';
import type { Sequence } from '../../core/evaluation/score-sequences.ts';
import type { VocabularyScores } from '../../core/kernels/kernels.ts';

/** What is known of a model once it is ready to run. */
export interface ScorerFacts {
  vocabularySize: number;
  /** The most tokens of a sequence that it was made for, if its config tells; `isLimit`: it cannot take more. */
  positions: { count: number; isLimit: boolean } | null;
}

export interface ScorerOptions {
  /** As for `openModel`. */
  model: string;
  /** Null: the model alone. */
  reference: string | null;
  /** Moves each weight of `model` to a neighbour in BF16, by a coin from this seed; null: takes them as they are. */
  noiseSeed: number | null;
  threads: number;
}

/** What a scorer is given before it scores. */
export interface MemoryRequest extends MemoryShare {
  /** Whether the reference is to be scored against itself afterwards. */
  hasNoise: boolean;
}

/** A model, and a reference beside it, that score sequences: in a worker thread, so that logits never leave it. */
export interface Scorer {
  readonly facts: ScorerFacts;
  /** Shares out the memory; once, before anything is scored. Below the least it takes that: `requireMemory`. */
  reserve(request: MemoryRequest): Promise<EvaluationMemory>;
  /** Sequences of this length that one call gets, so that memory suffices and the cores are full. */
  batchSize(length: number): Promise<number>;
  /** As `scoreSequences`. */
  score(sequences: readonly Sequence[], signal: AbortSignal): Promise<VocabularyScores>;
  close(): Promise<void>;
}

export type OpenScorer = (options: ScorerOptions, signal: AbortSignal) => Promise<Scorer>;
