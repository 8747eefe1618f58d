/** What a recipe makes of each matrix, as a map of blocks by projections. */
import type { ExplainedTensor } from '../../core/contract/explain-result.ts';

export interface MapCell {
  /** Several where a block has many of a kind, such as experts. */
  tensors: readonly ExplainedTensor[];
  /** A type, or `mixed`. */
  becomes: string;
  /** Null where only a run can tell. */
  bits: number | null;
}

export interface MapRow {
  label: string;
  cells: readonly (MapCell | null)[];
}

export interface LayerMap {
  columns: readonly string[];
  blocks: readonly MapRow[];
  /** Matrices outside of the blocks: embeddings, head. */
  others: readonly { label: string; cell: MapCell }[];
  /** Vectors and scalars, which have no place on the map. */
  vectors: number;
}

const KNOWN_COLUMNS = [
  'q_proj',
  'k_proj',
  'v_proj',
  'qkv_proj',
  'o_proj',
  'gate',
  'gate_proj',
  'up_proj',
  'gate_up_proj',
  'down_proj',
];

export function layerMap(tensors: readonly ExplainedTensor[]): LayerMap {
  const blocks = new Map<number, Map<string, ExplainedTensor[]>>();
  const others: { label: string; cell: MapCell }[] = [];
  let vectors = 0;
  for (const tensor of tensors) {
    if (tensor.shape.length < 2) {
      vectors += 1;
      continue;
    }
    const place =
      /\.(\d+)\.(?:.*\.)?([^.]+)\.weight$/.exec(tensor.name) ?? /\.(\d+)\.(?:.*\.)?([^.]+)$/.exec(tensor.name);
    if (place === null) {
      others.push({ label: labelOf(tensor.name), cell: cellOf([tensor]) });
      continue;
    }
    const block = Number(place[1]);
    const column = place[2] ?? '';
    const row = blocks.get(block) ?? new Map<string, ExplainedTensor[]>();
    blocks.set(block, row);
    row.set(column, [...(row.get(column) ?? []), tensor]);
  }
  const names = new Set([...blocks.values()].flatMap((row) => [...row.keys()]));
  const columns = [...names].sort((a, b) => rankOf(a) - rankOf(b) || a.localeCompare(b));
  return {
    columns,
    blocks: [...blocks]
      .sort(([a], [b]) => a - b)
      .map(([block, row]) => ({
        label: String(block),
        cells: columns.map((column) => {
          const members = row.get(column);
          return members === undefined ? null : cellOf(members);
        }),
      })),
    others,
    vectors,
  };
}

function rankOf(column: string): number {
  const rank = KNOWN_COLUMNS.indexOf(column);
  return rank === -1 ? KNOWN_COLUMNS.length : rank;
}

function labelOf(name: string): string {
  if (/embed_tokens/.test(name)) return 'embeddings';
  if (/lm_head/.test(name)) return 'head';
  return name.replace(/\.weight$/, '').replace(/^model\./, '');
}

function cellOf(tensors: readonly ExplainedTensor[]): MapCell {
  const [first] = tensors;
  const isOne = tensors.every(({ becomes }) => becomes === first?.becomes);
  const becomes = isOne ? (first?.becomes ?? '') : 'mixed';
  return { tensors, becomes, bits: isOne ? bitsOf(becomes) : null };
}

const BITS: Readonly<Record<string, number>> = {
  Q8_0: 8.5,
  Q6_K: 6.5625,
  Q5_K: 5.5,
  Q5_1: 6,
  Q5_0: 5.5,
  Q4_K: 4.5,
  Q4_1: 5,
  Q4_0: 4.5,
  IQ4_NL: 4.5,
  IQ4_XS: 4.25,
  Q3_K: 3.4375,
  Q2_K: 2.625,
  BF16: 16,
  F16: 16,
  F32: 32,
  F64: 64,
  F8_E4M3: 8,
  F8_E5M2: 8,
};

/** Bits a weight that a type always has; null where it depends on the weights. */
export function bitsOf(type: string): number | null {
  return BITS[type] ?? null;
}

/** What a cell says: the type without its underscores, short enough for a small cell. */
export function shortType(becomes: string): string {
  if (becomes === 'dfloat11') return 'DF11';
  if (becomes === 'split-plane') return 'split';
  if (becomes === 'allocated') return '?';
  return becomes;
}

/** 0 (fewest bits) to 4, for the shade; null where it is not known. */
export function shadeOf(cell: MapCell): number | null {
  if (cell.becomes === 'dfloat11' || cell.becomes === 'split-plane') return 4;
  if (cell.bits === null) return null;
  if (cell.bits <= 3) return 0;
  if (cell.bits <= 4) return 1;
  if (cell.bits <= 5) return 2;
  return cell.bits <= 7 ? 3 : 4;
}
