import type { ModelTensor } from '../../model/open-model.ts';
import { EMBEDDING_PAIRS } from '../../model/model-config.ts';
import { quoted } from '../../quoted.ts';
import { elementCount } from '../safetensors/tensor-size.ts';
import { comparePaths, isIndex, modulesAround, weightModule } from './module-names.ts';
import type { PatternedUnit } from './unit-patterns.ts';

/** The official kernel counts in 32 bits. */
export const MAX_UNIT_ELEMENTS = 2 ** 31 - 1;

/** A unit with its tensors, in the order of concatenation. */
export interface Unit extends PatternedUnit {
  tensors: ModelTensor[];
}

/** The order of published Llama-like models; what is not here follows by name. */
const USUAL_ORDER = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
];

/**
 * Last parts of names that are no `nn.Linear`, which is all that the official loader can fill within a unit: routers (small,
 * and in several architectures a class of their own) and tables.
 */
const NOT_LINEAR = /^(gate|router|wte|wpe|relative_attention_bias|.*embed.*)$/;

interface LayerMap {
  tensor: ModelTensor;
  path: string;
}

/**
 * Chooses the units of a model: each decoder layer's BF16 matrices, and both embeddings where they are not tied.
 *
 * Source: the pattern dictionaries of published DFloat11 models. A layer is the module at the first number in a name. A
 * layer with more than 2^31 - 1 elements is cut into its submodules, never into modules within one another.
 * @param codable the tensors that DFloat11 can hold: BF16 `.weight` matrices that nobody asked to skip
 */
export function chooseUnits(
  codable: readonly ModelTensor[],
  tiedEmbeddings: boolean,
): { units: Unit[]; notes: string[] } {
  const notes: string[] = [];
  const layers = new Map<string, LayerMap[]>();
  for (const tensor of codable) {
    const place = placeInLayer(tensor.name);
    if (!place || NOT_LINEAR.test(place.path.slice(place.path.lastIndexOf('.') + 1))) continue;
    const maps = layers.get(place.layer);
    if (maps) maps.push({ tensor, path: place.path });
    else layers.set(place.layer, [{ tensor, path: place.path }]);
  }
  const units = [...layers].flatMap(([layer, all]) => {
    const maps = withoutTransposed(layer, all, notes);
    maps.sort((a, b) => rankOf(a.path) - rankOf(b.path) || comparePaths(a.path, b.path));
    return cutLayer(layer, maps, notes);
  });
  const embeddings = tiedEmbeddings ? [] : embeddingUnits(codable, notes);
  const holdsUnit = ({ module }: Unit) => units.some((unit) => unit.module.startsWith(`${module}.`));
  return { units: [...units, ...embeddings.filter((embedding) => !holdsUnit(embedding))], notes };
}

export function elementsOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + (elementCount(shape) ?? Infinity), 0);
}

function placeInLayer(tensor: string): { layer: string; path: string } | null {
  const parts = weightModule(tensor)?.split('.') ?? [];
  const at = parts.findIndex(isIndex);
  if (at < 1 || at === parts.length - 1) return null;
  return { layer: parts.slice(0, at + 1).join('.'), path: parts.slice(at + 1).join('.') };
}

function rankOf(path: string): number {
  const rank = USUAL_ORDER.indexOf(path);
  return rank < 0 ? USUAL_ORDER.length : rank;
}

/** GPT-2 keeps its maps as [in, out] in a class that the official loader does not know; its fused map is wider than high. */
function withoutTransposed(layer: string, maps: LayerMap[], notes: string[]): LayerMap[] {
  const isTransposed = maps.some(
    ({ path, tensor: { shape } }) => path === 'attn.c_attn' && (shape[1] ?? 0) > (shape[0] ?? 0),
  );
  if (!isTransposed) return maps;
  notes.push(
    `Module ${quoted(layer)} stays plain: it stores its maps as [in, out], which the official loader cannot fill.`,
  );
  return [];
}

function cutLayer(layer: string, maps: readonly LayerMap[], notes: string[]): Unit[] {
  if (maps.length === 0) return [];
  const tensors = maps.map(({ tensor }) => tensor);
  if (elementsOf(tensors) <= MAX_UNIT_ELEMENTS)
    return [{ module: layer, paths: maps.map(({ path }) => path), tensors }];

  const byParent = new Map<string, LayerMap[]>();
  /** Modules of the layer that hold other modules with maps. */
  const holders = new Set<string>();
  for (const map of maps) {
    const parent = parentOf(map.path);
    const siblings = byParent.get(parent);
    if (siblings) siblings.push(map);
    else byParent.set(parent, [map]);
  }
  for (const parent of byParent.keys()) {
    for (const outer of modulesAround(parent)) holders.add(outer);
  }
  return [...byParent].flatMap(([parent, children]) => {
    const childTensors = children.map(({ tensor }) => tensor);
    if (parent !== '' && !holders.has(parent) && elementsOf(childTensors) <= MAX_UNIT_ELEMENTS) {
      const paths = children.map(({ path }) => path.slice(parent.length + 1));
      return [{ module: `${layer}.${parent}`, paths, tensors: childTensors }];
    }
    // As one unit a parent that holds other parents would decode over them: its maps become units of their own.
    return children.flatMap(({ path, tensor }) => {
      if (!byParent.has(path) && !holders.has(path)) return ownUnit(`${layer}.${path}`, tensor, notes);
      notes.push(`Tensor ${quoted(tensor.name)} stays plain: its module holds other modules with weights.`);
      return [];
    });
  });
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

function ownUnit(module: string, tensor: ModelTensor, notes: string[]): Unit[] {
  if (elementsOf([tensor]) <= MAX_UNIT_ELEMENTS) return [{ module, paths: [], tensors: [tensor] }];
  notes.push(`Tensor ${quoted(tensor.name)} stays plain: it has more than 2^31 - 1 elements.`);
  return [];
}

function embeddingUnits(codable: readonly ModelTensor[], notes: string[]): Unit[] {
  const byModule = new Map(codable.map((tensor) => [weightModule(tensor.name), tensor]));
  for (const [embedding, head] of EMBEDDING_PAIRS) {
    const first = byModule.get(head);
    const second = byModule.get(embedding);
    if (first && second) return [...ownUnit(head, first, notes), ...ownUnit(embedding, second, notes)];
  }
  return [];
}
