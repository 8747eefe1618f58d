import { FormatError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import type { GgufFamily } from './gguf-families.ts';

/** What Hugging Face calls a tensor of a GGUF file, and what has to be done to its rows. */
export interface GgufPlace {
  canonicalName: string;
  /** As Hugging Face stores it. */
  shape: number[];
  order: 'stored' | 'even-then-odd' | 'transposed';
  /** Groups of rows, for `even-then-odd`; else 1. */
  heads: number;
  /** To be added to every weight. */
  add: number;
}

/** Heads by the module whose rows they group. */
export type HeadCounts = Readonly<Record<'attn_q' | 'attn_k', number>>;

/** No more layers than any model has. */
const MAX_LAYER_DIGITS = 4;

/**
 * The place of a stored tensor in the Hugging Face model; null for a name that this family does not have.
 *
 * Source: llama.cpp's converters: rows of llama's queries and keys were regrouped from halves of a head to pairs, 1 was
 * added to Gemma's norms, GPT-2's matrices were transposed. All of it is undone.
 * @param shape as stored, [out, in]
 * @throws FormatError FORMAT_SHAPE_MISMATCH where rows are no groups of pairs
 */
export function ggufPlace(
  name: string,
  shape: readonly number[],
  family: GgufFamily,
  heads: HeadCounts,
  file: string,
): GgufPlace | null {
  const match = /^(?:blk\.(\d+)\.)?([a-z_]+)\.(weight|bias)$/.exec(name);
  const [, layer, module = '', field = ''] = match ?? [];
  if (!match || (layer !== undefined && !isLayer(layer))) return null;
  const modules = layer === undefined ? family.modules : family.blockModules;
  const canonicalModule = Object.hasOwn(modules, module) ? modules[module] : undefined;
  if (canonicalModule === undefined) return null;
  const prefix = layer === undefined ? '' : `${family.blocks}.${layer}.`;
  const place: GgufPlace = {
    canonicalName: `${prefix}${canonicalModule}.${field}`,
    shape: [...shape],
    order: 'stored',
    heads: 1,
    add: family.addsOneToNorms && module.endsWith('norm') && field === 'weight' ? -1 : 0,
  };
  if (family.pairsHeads && (module === 'attn_q' || module === 'attn_k')) {
    const count = heads[module];
    checkPairs(name, shape[0] ?? 0, count, file);
    return { ...place, order: 'even-then-odd', heads: count };
  }
  if (field === 'weight' && layer !== undefined && shape.length === 2 && family.transposed.includes(module)) {
    return { ...place, shape: [...shape].reverse(), order: 'transposed' };
  }
  return place;
}

function isLayer(digits: string): boolean {
  return digits.length <= MAX_LAYER_DIGITS && String(Number(digits)) === digits;
}

function checkPairs(name: string, rows: number, heads: number, file: string): void {
  if (rows % (2 * heads) === 0) return;
  throw new FormatError({
    code: 'FORMAT_SHAPE_MISMATCH',
    what: `${quoted(file)}: tensor ${quoted(name)} has ${rows} rows, which are no ${heads} heads of pairs.`,
    where: { file, tensor: name },
    whatToDo: 'Get a GGUF file that llama.cpp takes.',
  });
}
