/**
 * What `lathe evaluate` answers, as it stands in `--json`.
 *
 * Source: the contract, section 4 ("Evaluation protocol"). Likelihoods and divergences are in nats a predicted token.
 */

/** What the scores of a text say of one model. */
export interface ScoreSummary {
  windows: number;
  /** Each window is scored from its second token to its last. */
  predictions: number;
  /** Over all predictions. */
  meanNegativeLogLikelihood: number;
  /** Its exponential. */
  perplexity: number;
  /** Standard deviation of the windows' means / square root of the windows; null with one window. */
  standardError: number | null;
  /** Fraction of predictions whose token was the most likely one. */
  top1Accuracy: number;
}

/** D(reference || model) a predicted token. */
export interface DivergenceSummary {
  mean: number;
  median: number;
  p90: number;
  p99: number;
  max: number;
  /** Over the windows' means; null with one window. */
  standardError: number | null;
}

/** What a reference adds. */
export interface ComparisonSummary {
  referenceMeanNegativeLogLikelihood: number;
  referencePerplexity: number;
  klDivergence: DivergenceSummary;
  /** Fraction of predictions with the same most likely token. */
  top1Agreement: number;
  /** Predictions that only one of the two had right: `lost` by the model, `gained` by it; `fraction` of both. */
  flips: { lost: number; gained: number; fraction: number };
  /** Of the two perplexities, model over reference. */
  perplexityRatio: number;
  /** Model minus reference, paired: the standard error is that of the windows' differences. */
  nllDifference: { mean: number; standardError: number | null };
}

export interface EvaluatedText extends ScoreSummary, Partial<ComparisonSummary> {
  /** As it was named. */
  text: string;
  /** Of the whole text, or as many as --limit-tokens keeps. */
  tokens: number;
  /** Tokens of a window. */
  context: number;
  /** Of the incomplete last window. */
  droppedTokens: number;
  /** Wall clock and processor time that this process spent on it. */
  seconds: number;
  cpuSeconds: number;
  /** Tokens of this process's windows per second of wall clock; null where a resumed run had none left to do. */
  tokensPerSecond: number | null;
  /** On request: D(reference || reference with each weight moved to a neighbour in BF16, by a coin from `seed`). */
  noiseFloor?: DivergenceSummary & { seed: number };
}

export interface EvaluatedChoices {
  /** As it was named. */
  file: string;
  questions: number;
  /** Fraction of questions whose most likely choice is the right one. */
  accuracy: number;
  /** The same with each log-likelihood divided by the choice's characters. */
  accuracyNormalized: number;
  referenceAccuracy?: number;
  referenceAccuracyNormalized?: number;
}

/** Bounds of the whole process's memory, from headers and sizes alone. */
export interface EvaluationMemory {
  /** What the evaluation is held to: --memory-limit, or three quarters of what is free. */
  limitBytes: number;
  /** What it takes of that, at most. */
  peakMemoryBytes: number;
  /** The least limit that it can be held to. */
  leastMemoryBytes: number;
}

/** What `--dry-run` answers: all that is known before the first token is run. */
export interface EvaluationPlan {
  schema: 1;
  dryRun: true;
  model: string;
  reference: string | null;
  context: number;
  device: 'cpu';
  addsBos: boolean;
  texts: Pick<EvaluatedText, 'text' | 'tokens' | 'context' | 'windows' | 'predictions' | 'droppedTokens'>[];
  /** `tokens` of all questions with each of their choices. */
  choices: { file: string; questions: number; tokens: number } | null;
  tokensFile: string | null;
  memory: EvaluationMemory;
  notes: string[];
}

/** With one text its keys also stand at the top, and so do those of the choices. */
export interface EvaluateResult extends Partial<EvaluatedText>, Partial<Omit<EvaluatedChoices, 'file'>> {
  schema: 1;
  runId: string;
  /** As they were named. */
  model: string;
  reference: string | null;
  context: number;
  /** What computed it. */
  device: 'cpu';
  /** Whether a token of the beginning stands in front of the first window, as tokenizer_config.json asks. */
  addsBos: boolean;
  texts: EvaluatedText[];
  choices: EvaluatedChoices | null;
  /** Where the figures of every token were written. */
  tokensFile: string | null;
  /** Whether this run went on from an interrupted one. */
  resumed: boolean;
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
  memory: EvaluationMemory;
  notes: string[];
}
