import type { SerializedError } from '../errors.ts';
import type { RecipeMetrics } from './lathe-file.ts';
import type { Recipe } from './recipe.ts';

/**
 * The limits of a recipe that its output missed, as the error that its result then has; null where all were kept, or nothing
 * was measured.
 */
export function missedLimits(
  limits: Recipe['limits'],
  metrics: readonly RecipeMetrics[] | undefined,
): SerializedError | null {
  if (limits === undefined || metrics === undefined) return null;
  const { perplexityIncrease, klDivergence: mostDivergence } = limits;
  const missed = metrics.flatMap(({ text, perplexityRatio, klDivergence }) => {
    const found: string[] = [];
    const increase = perplexityRatio - 1;
    if (perplexityIncrease !== undefined && increase > perplexityIncrease) {
      found.push(`on "${text}" perplexity rose by ${percent(increase)}, allowed are ${percent(perplexityIncrease)}`);
    }
    if (mostDivergence !== undefined && klDivergence.mean > mostDivergence) {
      found.push(
        `on "${text}" the KL divergence is ${klDivergence.mean.toPrecision(3)}, allowed are ${mostDivergence}`,
      );
    }
    return found;
  });
  if (missed.length === 0) return null;
  return {
    code: 'QUALITY_LIMIT_MISSED',
    what: `The output is whole and verified, but worse than its recipe allows: ${missed.join('; ')}.`,
    where: {},
    whatToDo: 'Allow more bits, or raise the limit; the output is kept.',
    retryable: false,
  };
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}
