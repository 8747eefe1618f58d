import { ModelError } from '../errors.ts';
import type { GgufValue } from '../formats/gguf/gguf-writer.ts';
import { quoted, shown } from '../quoted.ts';
import { ConfigFields } from './architectures/config-fields.ts';
import type { GgufArchitecture } from './gguf-families.ts';
import type { JsonObject } from './model-config.ts';

/** What a GGUF file says of a model's sizes and positions. */
export interface GgufModelKeys {
  architecture: GgufArchitecture;
  metadata: Map<string, GgufValue>;
  /** Of `rope_freqs.weight`, f32 [head size / 2]; null where the model needs none. */
  frequencyFactors: Float32Array | null;
  /** Query and key heads, by the module whose rows they group. */
  heads: { attn_q: number; attn_k: number };
  layers: number;
  notes: string[];
}

/** `general.architecture` by Hugging Face's `model_type`. SmolLM is a Llama; llama.cpp runs Mistral as one. */
const ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map([
  ['llama', 'llama'],
  ['mistral', 'llama'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
]);

const DEFAULT_BASE = 10_000;

/**
 * The keys of a model's config as llama.cpp wants them.
 *
 * Source: the GGUF specification's list of keys, and llama.cpp's converters.
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN for a family that cannot be written yet, MODEL_CONFIG_INVALID
 */
export function ggufKeysOf(config: JsonObject): GgufModelKeys {
  const fields = new ConfigFields(config);
  const type = fields.text('model_type', '');
  const architecture = ARCHITECTURES.get(type);
  if (architecture === undefined) throw notWritten(type);
  const notes: string[] = [];
  const hidden = fields.whole('hidden_size');
  const heads = fields.whole('num_attention_heads');
  const keyHeads = fields.whole('num_key_value_heads', heads);
  const headSize = fields.optionalWhole('head_dim') ?? hidden / heads;
  if (!Number.isInteger(headSize)) throw fields.invalid('num_attention_heads', heads, `a divisor of ${hidden}`);
  const positions = fields.whole('max_position_embeddings');
  const layers = fields.whole('num_hidden_layers');
  const base = ropeBase(fields);
  const metadata = new Map<string, GgufValue>();
  const u32 = (key: string, value: number) => metadata.set(`${architecture}.${key}`, { type: 'u32', value });
  const f32 = (key: string, value: number) => metadata.set(`${architecture}.${key}`, { type: 'f32', value });
  u32('context_length', positions);
  u32('embedding_length', hidden);
  u32('block_count', layers);
  u32('feed_forward_length', fields.whole('intermediate_size'));
  u32('attention.head_count', heads);
  u32('attention.head_count_kv', keyHeads);
  if (headSize * heads !== hidden || type === 'qwen3') {
    u32('attention.key_length', headSize);
    u32('attention.value_length', headSize);
  }
  f32('attention.layer_norm_rms_epsilon', fields.positive('rms_norm_eps', 1e-6));
  u32('rope.dimension_count', headSize);
  f32('rope.freq_base', base);
  u32('vocab_size', fields.whole('vocab_size'));
  const scaling = writeScaling(fields, architecture, metadata, { base, headSize, positions });
  const window = fields.optionalWhole('sliding_window');
  const usesWindow = type === 'mistral' || config['use_sliding_window'] === true;
  if (usesWindow && window !== null && window < positions) {
    notes.push(
      `The model looks back ${window} tokens, which llama.cpp does not for this family: longer texts will differ.`,
    );
  }
  return {
    architecture,
    metadata,
    frequencyFactors: scaling,
    heads: { attn_q: heads, attn_k: keyHeads },
    layers,
    notes,
  };
}

/** Transformers 5 keeps the base among the parameters of the positions. */
function ropeBase(fields: ConfigFields): number {
  return (
    fields.optionalPositive('rope_theta') ??
    fields.optionalObject('rope_parameters')?.optionalPositive('rope_theta') ??
    DEFAULT_BASE
  );
}

interface Rotary {
  base: number;
  headSize: number;
  positions: number;
}

/** Linear and YaRN are keys, Llama 3's scaling a table; returns the table. */
function writeScaling(
  fields: ConfigFields,
  architecture: string,
  metadata: Map<string, GgufValue>,
  rotary: Rotary,
): Float32Array | null {
  const scaling = fields.optionalObject('rope_scaling') ?? fields.optionalObject('rope_parameters');
  if (scaling === null) return null;
  const kind = scaling.text('rope_type', scaling.text('type', 'default'));
  const prefix = `${architecture}.rope.scaling`;
  switch (kind) {
    case 'default':
      return null;
    case 'linear':
      metadata.set(`${prefix}.type`, { type: 'string', value: 'linear' });
      metadata.set(`${prefix}.factor`, { type: 'f32', value: scaling.positive('factor') });
      return null;
    case 'yarn':
      metadata.set(`${prefix}.type`, { type: 'string', value: 'yarn' });
      metadata.set(`${prefix}.factor`, { type: 'f32', value: scaling.positive('factor') });
      metadata.set(`${prefix}.original_context_length`, {
        type: 'u32',
        value: scaling.whole('original_max_position_embeddings', rotary.positions),
      });
      for (const [key, name] of [
        ['yarn_attn_factor', 'attention_factor'],
        ['yarn_beta_fast', 'beta_fast'],
        ['yarn_beta_slow', 'beta_slow'],
      ] as const) {
        const value = scaling.optionalPositive(name);
        if (value !== null) metadata.set(`${prefix}.${key}`, { type: 'f32', value });
      }
      return null;
    case 'llama3':
      return llama3Factors(scaling, rotary);
    default:
      throw new ModelError({
        code: 'MODEL_ARCHITECTURE_UNKNOWN',
        what: `The positions of this model are scaled by ${shown(kind)}, which a GGUF file of this family cannot say.`,
        where: { file: 'config.json' },
        whatToDo: 'Use the model in another format.',
      });
  }
}

/** By what each frequency is divided; 1 leaves it. */
function llama3Factors(scaling: ConfigFields, { base, headSize }: Rotary): Float32Array {
  const factor = scaling.positive('factor');
  const low = scaling.positive('low_freq_factor');
  const high = scaling.positive('high_freq_factor');
  const context = scaling.whole('original_max_position_embeddings');
  return Float32Array.from({ length: headSize / 2 }, (_, index) => {
    const wavelength = 2 * Math.PI * base ** ((2 * index) / headSize);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = (context / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function notWritten(type: string): ModelError {
  return new ModelError({
    code: 'MODEL_ARCHITECTURE_UNKNOWN',
    what: `Models of the family ${quoted(type)} cannot be written as GGUF files yet; those of ${[...ARCHITECTURES.keys()].join(', ')} can.`,
    where: { file: 'config.json' },
    whatToDo: 'Choose another format for this model.',
  });
}
