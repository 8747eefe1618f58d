import type { RunFigures } from '../../core/contract/run-figures.ts';
import { formatBytes } from '../../core/units.ts';
import { significant } from './figures.ts';

/** What a run came to, in a few words. */
export function describeFigures(figures: RunFigures | null): string {
  if (figures === null) return '';
  const { storedBytes, bitsPerWeight, texts, choices, restoredBytes, lossless } = figures;
  if (storedBytes !== undefined) {
    return `${formatBytes(storedBytes)}${bitsPerWeight === undefined ? '' : `, ${significant(bitsPerWeight)} bits a weight`}`;
  }
  const [text] = texts ?? [];
  if (text !== undefined) {
    const divergence = text.klDivergenceMean === undefined ? '' : `, KL ${significant(text.klDivergenceMean)} nats`;
    return `perplexity ${significant(text.perplexity, 4)}${divergence}`;
  }
  if (choices !== undefined) return `${(100 * choices.accuracy).toFixed(1)} % right of ${choices.questions} questions`;
  if (restoredBytes !== undefined)
    return `${formatBytes(restoredBytes)} restored${lossless === true ? ', lossless' : ''}`;
  return '';
}
