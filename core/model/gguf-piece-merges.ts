import type { VocabularyToken } from './gguf-vocabulary.ts';

/** Longer pieces are runs of one sign, or hostile: every place to split one is looked at. */
const MAX_PIECE_CHARACTERS = 256;

/**
 * The pairs that make sentencepiece's pieces, the earliest merged first: for each piece every pair of pieces that joins
 * into it, in the order of its score.
 *
 * Source: Hugging Face Transformers, `generate_merges` of its sentencepiece converters. Departs from it: only normal and
 * user-defined pieces are merged, as in sentencepiece itself; user-defined ones count as of score 0, which sentencepiece
 * gives them, where the converter to GGUF wrote another.
 */
export function pieceMerges(tokens: readonly VocabularyToken[]): string[] {
  const pieces = tokens.filter(({ kind }) => kind === 'normal' || kind === 'user-defined');
  const ids = new Map(pieces.map(({ text, id }) => [text, id]));
  const found: { score: number; left: string; right: string; leftLength: number; rightLength: number }[] = [];
  for (const { text, kind, score } of pieces) {
    const characters = [...text];
    if (characters.length < 2 || characters.length > MAX_PIECE_CHARACTERS) continue;
    const pairs: typeof found = [];
    let left = '';
    for (let length = 1; length < characters.length; length++) {
      left += characters[length - 1] ?? '';
      const right = text.slice(left.length);
      if (!ids.has(left) || !ids.has(right)) continue;
      const rightLength = characters.length - length;
      pairs.push({ score: kind === 'user-defined' ? 0 : score, left, right, leftLength: length, rightLength });
    }
    pairs.sort((a, b) => idOf(a.left) - idOf(b.left) || idOf(a.right) - idOf(b.right));
    for (const pair of pairs) found.push(pair);
  }
  function idOf(piece: string): number {
    return ids.get(piece) ?? 0;
  }
  found.sort((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength);
  return found.map(({ left, right }) => `${left} ${right}`);
}
