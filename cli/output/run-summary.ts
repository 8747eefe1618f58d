import type { RunFigures } from '../../core/contract/run-figures.ts';
import type { RunSummary } from '../../core/contract/runs-result.ts';
import { formatFraction, formatSeconds } from '../../core/units.ts';
import { escapeLine } from './escape-text.ts';

/** `2026-01-02 15:04`, in the user's own time. */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return escapeLine(iso);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

export function formatState({ state, resumable }: Pick<RunSummary, 'state' | 'resumable'>): string {
  return resumable ? `${state}, can go on` : state;
}

export function formatDuration(seconds: number | null): string {
  return seconds === null ? '-' : formatSeconds(seconds);
}

/** The one figure that says most of what a run came to. */
export function formatMainFigure({ figures, error }: Pick<RunSummary, 'figures' | 'error'>): string {
  if (error !== null) return error.code;
  return figures === null ? '-' : mainFigure(figures);
}

function mainFigure({ bitsPerWeight, texts, choices, filesIdentical, lossless, missedLimit }: RunFigures): string {
  if (bitsPerWeight !== undefined) {
    const divergences = (texts ?? []).flatMap(({ klDivergenceMean }) => klDivergenceMean ?? []);
    const cost =
      divergences.length === 0 ? '' : `, KL divergence ${divergences.map((kl) => kl.toPrecision(3)).join(', ')}`;
    return `${bitsPerWeight.toFixed(2)} bits per weight${cost}${missedLimit === undefined ? '' : ', limit missed'}`;
  }
  if (texts !== undefined && texts.length > 0) {
    return `perplexity ${texts.map(({ perplexity }) => perplexity.toFixed(4)).join(', ')}`;
  }
  if (choices !== undefined) return `${formatFraction(choices.accuracy)} right`;
  if (filesIdentical === true) return 'identical files';
  return lossless === true ? 'exact tensors' : 'rounded weights';
}
