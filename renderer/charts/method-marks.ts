/** One colour and one shape for each method, everywhere; the colours are custom properties of the style sheet. */
import type { Recipe } from '../../core/contract/recipe.ts';

export type MethodKind = 'lossless' | 'quantize' | 'dp' | 'prune' | 'delta' | 'evolutionary' | 'source';

export const METHOD_NAMES: Readonly<Record<MethodKind, string>> = {
  lossless: 'lossless',
  quantize: 'quantized',
  dp: 'allocated (DP)',
  prune: 'pruned',
  delta: 'delta',
  evolutionary: 'evolutionary',
  source: 'source',
};

/** By the last lossy step; `isCoded` asks for a ring: lossless coding on top of it. */
export function methodOf(recipe: Recipe): { kind: MethodKind; isCoded: boolean } {
  const isCoded = recipe.steps.some(({ step }) => step === 'encode');
  const lossy = recipe.steps.filter(({ step }) => step !== 'encode').at(-1);
  if (!lossy) return { kind: 'lossless', isCoded: false };
  const allocation = 'allocation' in lossy ? lossy.allocation?.method : undefined;
  if (allocation === 'evopress') return { kind: 'evolutionary', isCoded };
  if (lossy.step === 'quantize') return { kind: allocation === 'dp' ? 'dp' : 'quantize', isCoded };
  if (lossy.step === 'delta') return { kind: 'delta', isCoded };
  return { kind: 'prune', isCoded };
}

/** An SVG path around 0,0 of about the same area for each kind. */
export const MARK_PATHS: Readonly<Record<MethodKind, string>> = {
  lossless: 'M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0z',
  quantize: 'M-5 -5h10v10h-10z',
  dp: hexagon(6),
  prune: 'M0 -6.5L6 4.5H-6z',
  delta: 'M0 -7L6 0L0 7L-6 0z',
  evolutionary: star(7.2, 3),
  source: 'M-1.8 -6h3.6v4.2h4.2v3.6h-4.2v4.2h-3.6v-4.2h-4.2v-3.6h4.2z',
};

function hexagon(radius: number): string {
  return polygon(6, () => radius);
}

function star(outer: number, inner: number): string {
  return polygon(10, (corner) => (corner % 2 === 0 ? outer : inner));
}

function polygon(corners: number, radius: (corner: number) => number): string {
  const points = Array.from({ length: corners }, (_, corner) => {
    const angle = (2 * Math.PI * corner) / corners - Math.PI / 2;
    return `${(radius(corner) * Math.cos(angle)).toFixed(2)} ${(radius(corner) * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${points.join('L')}z`;
}
