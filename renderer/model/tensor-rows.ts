/** The tensors of a model as a table: filtered, sorted, summed up. */
import type { InspectedTensor } from '../../core/contract/results.ts';

export const TENSOR_COLUMNS = ['name', 'dtype', 'shape', 'bytes', 'bits', 'entropy', 'min', 'max', 'rms'] as const;
export type TensorColumn = (typeof TENSOR_COLUMNS)[number];

export interface TensorSort {
  /** Null: as the file has them. */
  column: TensorColumn | null;
  isDescending: boolean;
}

/**
 * Those whose name, dtype or method has the text in it, or matches it where it is a regular expression between slashes or
 * has signs that plain names do not have. A pattern that is not finished yet is looked for as it stands.
 */
export function filterTensors(tensors: readonly InspectedTensor[], text: string): readonly InspectedTensor[] {
  const wanted = text.trim();
  if (wanted === '') return tensors;
  const pattern = patternOf(wanted);
  const plain = wanted.toLowerCase();
  return tensors.filter(({ name, dtype, method }) => {
    if (pattern !== null) return pattern.test(name) || pattern.test(dtype) || pattern.test(method);
    return [name, dtype, method].some((value) => value.toLowerCase().includes(plain));
  });
}

function patternOf(text: string): RegExp | null {
  const source = /^\/(.+)\/$/.exec(text)?.[1] ?? (/[\\^$*+?()[\]{}|]/.test(text) ? text : null);
  if (source === null) return null;
  try {
    return new RegExp(source, 'i');
  } catch {
    return null;
  }
}

export function sortTensors(tensors: readonly InspectedTensor[], sort: TensorSort): readonly InspectedTensor[] {
  const { column, isDescending } = sort;
  if (column === null) return tensors;
  const direction = isDescending ? -1 : 1;
  return [...tensors].sort((a, b) => direction * compareIn(column, a, b));
}

const NAMES = new Intl.Collator('en', { numeric: true });

function compareIn(column: TensorColumn, a: InspectedTensor, b: InspectedTensor): number {
  if (column === 'name' || column === 'dtype') return NAMES.compare(a[column], b[column]);
  return numberIn(column, a) - numberIn(column, b);
}

function numberIn(column: Exclude<TensorColumn, 'name' | 'dtype'>, tensor: InspectedTensor): number {
  // Where there is no figure it counts as the least.
  const none = Number.NEGATIVE_INFINITY;
  switch (column) {
    case 'shape':
      return elementsOf(tensor);
    case 'bytes':
      return tensor.storedBytes;
    case 'bits':
      return tensor.bitsPerWeight;
    case 'entropy':
      return tensor.exponentEntropyBits ?? none;
    case 'min':
    case 'max':
    case 'rms':
      return tensor[column] ?? none;
  }
}

export function elementsOf({ shape }: Pick<InspectedTensor, 'shape'>): number {
  return shape.reduce((product, size) => product * size, 1);
}

export interface TensorTotals {
  count: number;
  elements: number;
  storedBytes: number;
  bitsPerWeight: number;
}

export function totalsOf(tensors: readonly InspectedTensor[]): TensorTotals {
  let elements = 0;
  let storedBytes = 0;
  for (const tensor of tensors) {
    elements += elementsOf(tensor);
    storedBytes += tensor.storedBytes;
  }
  return {
    count: tensors.length,
    elements,
    storedBytes,
    bitsPerWeight: elements === 0 ? 0 : (8 * storedBytes) / elements,
  };
}

export type TensorGroup = 'embeddings' | 'attention' | 'mlp' | 'norms' | 'head' | 'other';

export function groupOf(canonicalName: string): TensorGroup {
  if (/embed_tokens|wte|word_embeddings/.test(canonicalName)) return 'embeddings';
  if (/lm_head/.test(canonicalName)) return 'head';
  if (/norm|ln_/.test(canonicalName)) return 'norms';
  if (/attn|attention/.test(canonicalName)) return 'attention';
  if (/mlp|feed_forward|experts|ffn/.test(canonicalName)) return 'mlp';
  return 'other';
}

export interface GroupTotals extends TensorTotals {
  group: TensorGroup;
}

/** The largest first. */
export function totalsByGroup(tensors: readonly InspectedTensor[]): GroupTotals[] {
  const groups = new Map<TensorGroup, InspectedTensor[]>();
  for (const tensor of tensors) {
    const group = groupOf(tensor.canonicalName);
    const members = groups.get(group);
    if (members) members.push(tensor);
    else groups.set(group, [tensor]);
  }
  return [...groups]
    .map(([group, members]) => ({ group, ...totalsOf(members) }))
    .sort((a, b) => b.storedBytes - a.storedBytes);
}

/** How many bytes of matrices lie in each step of exponent entropy, for a bar chart; empty without statistics. */
export function entropySteps(tensors: readonly InspectedTensor[], step = 0.05): { from: number; bytes: number }[] {
  const bytes = new Map<number, number>();
  for (const { exponentEntropyBits, storedBytes, shape } of tensors) {
    // Vectors take next to nothing, and would stretch the axis to zero.
    if (typeof exponentEntropyBits !== 'number' || shape.length < 2) continue;
    const index = Math.floor(exponentEntropyBits / step + 1e-9);
    bytes.set(index, (bytes.get(index) ?? 0) + storedBytes);
  }
  const indices = [...bytes.keys()];
  if (indices.length === 0) return [];
  const first = Math.min(...indices);
  const last = Math.max(...indices);
  return Array.from({ length: last - first + 1 }, (_, offset) => {
    return { from: (first + offset) * step, bytes: bytes.get(first + offset) ?? 0 };
  });
}
