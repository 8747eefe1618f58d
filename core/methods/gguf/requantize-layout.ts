import { ModelError } from '../../errors.ts';
import { readGgufArray, type GgufEntry, type GgufItem } from '../../formats/gguf/gguf-metadata.ts';
import type { GgufScalarType, GgufValue } from '../../formats/gguf/gguf-writer.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { GGUF_FAMILIES, isGgufArchitecture, type GgufArchitecture } from '../../model/gguf-families.ts';
import { requireGgufConfig, type GgufModel, type GgufModelTensor } from '../../model/gguf-model.ts';
import { quoted } from '../../quoted.ts';
import { storedTensor } from './gguf-parts.ts';
import type { GgufCandidate, GgufLayout } from './plan-gguf-export.ts';

/** Said anew of the new file, or meant for the old one only. */
const NOT_KEPT = /^(general\.(file_type|quantization_version|alignment)|split\..+)$/;

/**
 * A GGUF file as the source of another one: every key of its metadata, and every tensor under its own name.
 *
 * @throws as `requireGgufConfig`, `readGgufArray` and `storedTensor`; ModelError MODEL_CONFIG_INVALID for lists of lists
 */
export async function layOutFromGguf(model: GgufModel, access: FileAccess): Promise<GgufLayout> {
  requireGgufConfig(model);
  const named = model.fields.optionalText('general.architecture') ?? '';
  const architecture: GgufArchitecture = isGgufArchitecture(named) ? named : 'llama';
  const keys = model.fields.under(`${architecture}.`);
  const heads = keys.whole('attention.head_count');
  const counts = { attn_q: heads, attn_k: keys.optionalWhole('attention.head_count_kv') ?? heads };
  const layers = keys.whole('block_count');
  const metadata = await keptMetadata(model, access);
  return {
    keys: { architecture, metadata, frequencyFactors: null, heads: counts, layers, notes: [] },
    facts: { layers, isTied: model.tiedEmbeddings, queriesPerKey: counts.attn_q / counts.attn_k },
    tensors: model.tensors.map((tensor) => candidateOf(tensor, model, architecture)),
  };
}

async function keptMetadata(
  { root, weightFiles: [file] }: GgufModel,
  access: FileAccess,
): Promise<Map<string, GgufValue>> {
  const kept = new Map<string, GgufValue>();
  for (const [key, entry] of file.header.metadata) {
    if (NOT_KEPT.test(key)) continue;
    const place = { path: `${root}/${file.path}`, file: file.path, sizeBytes: file.sizeBytes };
    kept.set(key, await valueOf(key, entry, (array) => readGgufArray(place, array, access), file.path));
  }
  return kept;
}

async function valueOf(
  key: string,
  { type, value }: GgufEntry,
  read: (array: Parameters<typeof readGgufArray>[1]) => Promise<GgufItem[]>,
  file: string,
): Promise<GgufValue> {
  if (typeof value !== 'object') return { type: type as GgufScalarType, value };
  if (value.itemType === 'array') {
    throw new ModelError({
      code: 'MODEL_CONFIG_INVALID',
      what: `${quoted(file)}: the key ${quoted(key)} holds lists of lists, which Lathe does not write.`,
      where: { file },
      whatToDo: 'Restore a model from it with "lathe restore", and compress that.',
    });
  }
  const items = await read(value);
  return { type: 'array', of: value.itemType, items: items.flatMap((item) => (Array.isArray(item) ? [] : [item])) };
}

function candidateOf(tensor: GgufModelTensor, model: GgufModel, architecture: GgufArchitecture): GgufCandidate {
  const { name, shape, place, elements } = tensor;
  const { source, type, order, heads, add } = storedTensor(tensor, model);
  const { modules, blockModules } = GGUF_FAMILIES[architecture];
  const [, layer, module = ''] = /^(?:blk\.(\d+)\.)?([a-z_]+)\.(?:weight|bias)$/.exec(name) ?? [];
  const isKnown = Object.hasOwn(layer === undefined ? modules : blockModules, module);
  return {
    name,
    module: isKnown ? module : '',
    layer: layer === undefined || !isKnown ? null : Number(layer),
    canonicalName: place?.canonicalName ?? name,
    shape,
    elements,
    source: { ranges: [source], type, columns: shape[shape.length - 1] ?? 1, order: 'stored', heads: 1 },
    stored: { order, heads, add },
  };
}
