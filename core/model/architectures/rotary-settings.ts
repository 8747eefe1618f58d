import { assertNever } from '../../errors.ts';
import type { ConfigFields } from './config-fields.ts';
import type { RotaryEmbedding, RotaryScaling } from './decoder-description.ts';

const KINDS = ['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope'] as const;
type Kind = (typeof KINDS)[number];

/** Llama's and everybody's since, where a config is silent. */
const DEFAULT_BASE = 10_000;

/**
 * The rotary embedding of a config, in the schema of Transformers 4 (`rope_theta`, `rope_scaling`) or 5
 * (`rope_parameters`).
 *
 * Source: Hugging Face Transformers 5.24, `modeling_rope_utils.py`: which key wins, and what follows from a missing one.
 * @param layerType a key of `rope_parameters` for models that have one entry a kind of attention
 * @throws ModelError MODEL_CONFIG_INVALID
 */
export function readRotary(
  fields: ConfigFields,
  headSize: number,
  { base = DEFAULT_BASE, layerType }: { base?: number; layerType?: string } = {},
): RotaryEmbedding {
  const parameters = fields.optionalObject('rope_parameters');
  const nested = layerType === undefined ? null : (parameters?.optionalObject(layerType) ?? null);
  const scaling = nested ?? fields.optionalObject('rope_scaling') ?? parameters;
  const fraction =
    scaling?.optionalPositive('partial_rotary_factor') ?? fields.optionalPositive('partial_rotary_factor') ?? 1;
  const dimensions = Math.floor(headSize * fraction);
  if (dimensions < 2 || dimensions % 2 !== 0 || dimensions > headSize) {
    throw fields.invalid('partial_rotary_factor', fraction, `one that turns an even part of ${headSize} dimensions`);
  }
  return {
    dimensions,
    base: scaling?.optionalPositive('rope_theta') ?? fields.positive('rope_theta', base),
    scaling: readScaling(fields, scaling, dimensions),
  };
}

function readScaling(fields: ConfigFields, scaling: ConfigFields | null, dimensions: number): RotaryScaling {
  if (scaling === null) return { kind: 'default' };
  const kind = readKind(fields, scaling);
  const maxPositions = () => fields.whole('max_position_embeddings');
  const originalPositions = () =>
    fields.optionalWhole('original_max_position_embeddings') ??
    scaling.optionalWhole('original_max_position_embeddings') ??
    maxPositions();
  switch (kind) {
    case 'default':
      return { kind };
    case 'linear':
      return { kind, factor: scaling.positive('factor') };
    case 'dynamic':
      return { kind, factor: scaling.positive('factor'), originalPositions: maxPositions() };
    case 'llama3':
      return {
        kind,
        factor: scaling.positive('factor'),
        lowFrequencyFactor: scaling.positive('low_freq_factor'),
        highFrequencyFactor: scaling.positive('high_freq_factor'),
        originalPositions: originalPositions(),
      };
    case 'yarn': {
      const factor = scaling.optionalPositive('factor') ?? maxPositions() / originalPositions();
      return {
        kind,
        factor,
        betaFast: scaling.positive('beta_fast', 32),
        betaSlow: scaling.positive('beta_slow', 1),
        originalPositions: originalPositions(),
        attentionFactor: scaling.optionalPositive('attention_factor') ?? yarnAttentionFactor(scaling, factor),
        truncates: scaling.flag('truncate', true),
      };
    }
    case 'longrope': {
      const original = originalPositions();
      const factor = scaling.optionalPositive('factor') ?? maxPositions() / original;
      const derived = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
      return {
        kind,
        shortFactors: scaling.positives('short_factor', dimensions / 2),
        longFactors: scaling.positives('long_factor', dimensions / 2),
        originalPositions: original,
        attentionFactor: scaling.optionalPositive('attention_factor') ?? derived,
      };
    }
    default:
      return assertNever(kind, 'rotary scaling');
  }
}

function readKind(fields: ConfigFields, scaling: ConfigFields): Kind {
  const key = scaling.has('rope_type') ? 'rope_type' : 'type';
  const written = scaling.text(key, 'default');
  // Phi-3's first configs called LongRoPE by other names.
  const isPhi = fields.text('model_type', '') === 'phi3';
  const name = isPhi && (written === 'su' || written === 'yarn') ? 'longrope' : written;
  const kind = KINDS.find((candidate) => candidate === name);
  if (kind === undefined) throw scaling.invalid(key, written, `one of ${KINDS.join(', ')}`);
  return kind;
}

/** Source: YaRN, arXiv:2309.00071, section 3.4, and DeepSeek's two factors, as Transformers has them. */
function yarnAttentionFactor(scaling: ConfigFields, factor: number): number {
  const grown = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  const mscale = scaling.optionalPositive('mscale');
  const mscaleAllDim = scaling.optionalPositive('mscale_all_dim');
  return mscale !== null && mscaleAllDim !== null ? grown(mscale) / grown(mscaleAllDim) : grown(1);
}
