import { GGUF_FAMILIES, type GgufArchitecture } from './gguf-families.ts';

/** Where a Hugging Face tensor goes in a GGUF file. */
export interface GgufName {
  name: string;
  /** Such as `attn_q`, in a block or outside. */
  module: string;
  /** Null outside the blocks. */
  layer: number | null;
}

/**
 * The GGUF name of a tensor; null for one that the format has no place for.
 *
 * Source: `gguf-families.ts`, the other way round.
 */
export function ggufNameOf(canonicalName: string, architecture: GgufArchitecture): GgufName | null {
  const { modules, blockModules, blocks } = GGUF_FAMILIES[architecture];
  const [, path = '', field = ''] = /^(.+)\.(weight|bias)$/.exec(canonicalName) ?? [];
  if (path.startsWith(`${blocks}.`)) {
    const [, layer = '', inner = ''] = /^(\d+)\.(.+)$/.exec(path.slice(blocks.length + 1)) ?? [];
    const module = keyOf(blockModules, inner);
    return module === null ? null : { name: `blk.${layer}.${module}.${field}`, module, layer: Number(layer) };
  }
  const module = keyOf(modules, path);
  return module === null ? null : { name: `${module}.${field}`, module, layer: null };
}

function keyOf(modules: Readonly<Record<string, string>>, wanted: string): string | null {
  for (const [module, canonical] of Object.entries(modules)) if (canonical === wanted) return module;
  return null;
}
