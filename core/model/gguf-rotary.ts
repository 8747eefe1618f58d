import { ModelError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import { ROTARY_TABLES } from './gguf-families.ts';
import type { GgufFields } from './gguf-fields.ts';
import type { JsonObject } from './model-config.ts';

/** The tables of a file that stand for parts of the config, by tensor name. */
export type RotaryTables = ReadonlyMap<string, Float32Array>;

/** Llama 3.1 to 3.3 and models made from them have one set of these, or a context that is a power of two. */
const LLAMA_3_LOW_FREQUENCY = 1;
const LLAMA_3_HIGH_FREQUENCY = 4;
const LLAMA_3_CONTEXTS = [8192, 4096, 16_384, 2048, 32_768, 65_536, 131_072] as const;
/** The converter computes the factors in single precision, by way of powers and a sine's period. */
const TABLE_TOLERANCE = 1e-4;

/**
 * The `rope_scaling` of a config; null where positions are not scaled.
 *
 * Source: llama.cpp's converters. Llama 3's parameters are not in the file, only the factors that follow from them: they
 * are found again by trying, and must give those factors.
 * @param keys those of the architecture
 * @throws ModelError MODEL_CONFIG_INVALID for a scaling that Lathe does not know, or whose tables contradict it
 */
export function rotaryScaling(
  keys: GgufFields,
  tables: RotaryTables,
  { base, dimensions }: { base: number; dimensions: number },
): JsonObject | null {
  const frequencies = tables.get(ROTARY_TABLES.frequencies);
  if (frequencies) return llama3Scaling(frequencies, base, dimensions);
  const long = tables.get(ROTARY_TABLES.long);
  const short = tables.get(ROTARY_TABLES.short);
  if (long && short) return longScaling(long, short, dimensions);
  const type = keys.optionalText('rope.scaling.type') ?? (keys.has('rope.scale_linear') ? 'linear' : 'none');
  switch (type) {
    case 'none':
      return null;
    case 'linear': {
      const factor = keys.optionalPositive('rope.scaling.factor') ?? keys.optionalPositive('rope.scale_linear');
      return factor === null || factor === 1 ? null : { rope_type: 'linear', factor };
    }
    case 'yarn':
      return yarnScaling(keys);
    case 'longrope':
      throw unknownScaling(`"${ROTARY_TABLES.long}" and "${ROTARY_TABLES.short}" are missing`);
    default:
      throw unknownScaling(`its type is ${quoted(type)}`);
  }
}

function yarnScaling(keys: GgufFields): JsonObject {
  const optional: [string, number | null][] = [
    ['original_max_position_embeddings', keys.optionalWhole('rope.scaling.original_context_length')],
    ['attention_factor', keys.optionalPositive('rope.scaling.yarn_attn_factor')],
    ['beta_fast', keys.optionalPositive('rope.scaling.yarn_beta_fast')],
    ['beta_slow', keys.optionalPositive('rope.scaling.yarn_beta_slow')],
  ];
  const given = Object.fromEntries(optional.filter(([, value]) => value !== null));
  return { rope_type: 'yarn', factor: keys.positive('rope.scaling.factor'), ...given };
}

/** `longrope`, as Phi 3's configs have it; the length before scaling stands outside. */
function longScaling(long: Float32Array, short: Float32Array, dimensions: number): JsonObject {
  for (const factors of [long, short]) checkTable(factors, dimensions);
  return { type: 'longrope', long_factor: decimals(long), short_factor: decimals(short) };
}

function llama3Scaling(factors: Float32Array, base: number, dimensions: number): JsonObject | null {
  checkTable(factors, dimensions);
  const factor = factors.reduce((largest, value) => Math.max(largest, value), 1);
  if (factor === 1) return null;
  for (const context of LLAMA_3_CONTEXTS) {
    const isMatch = factors.every((found, index) => {
      const expected = llama3Factor(base ** ((-2 * index) / dimensions), factor, context);
      return Math.abs(found - expected) <= TABLE_TOLERANCE * expected;
    });
    if (isMatch) {
      return {
        rope_type: 'llama3',
        factor,
        low_freq_factor: LLAMA_3_LOW_FREQUENCY,
        high_freq_factor: LLAMA_3_HIGH_FREQUENCY,
        original_max_position_embeddings: context,
      };
    }
  }
  throw unknownScaling(`the factors in "${ROTARY_TABLES.frequencies}" are not Llama 3's`);
}

/** What one frequency is divided by. Source: Hugging Face Transformers, `_compute_llama3_parameters`. */
function llama3Factor(frequency: number, factor: number, context: number): number {
  const waves = (context * frequency) / (2 * Math.PI);
  if (waves > LLAMA_3_HIGH_FREQUENCY) return 1;
  if (waves < LLAMA_3_LOW_FREQUENCY) return factor;
  const smooth = (waves - LLAMA_3_LOW_FREQUENCY) / (LLAMA_3_HIGH_FREQUENCY - LLAMA_3_LOW_FREQUENCY);
  return 1 / ((1 - smooth) / factor + smooth);
}

function checkTable(factors: Float32Array, dimensions: number): void {
  if (factors.length === dimensions / 2 && factors.every((factor) => factor > 0 && factor < Infinity)) return;
  throw unknownScaling(`a table has ${factors.length} factors, expected ${dimensions / 2} positive ones`);
}

/** The shortest decimals that stand for these floats: what the model's own config had. */
function decimals(factors: Float32Array): number[] {
  return [...factors].map((factor) => {
    const digits = [1, 2, 3, 4, 5, 6, 7, 8].find((count) => Math.fround(Number(factor.toPrecision(count))) === factor);
    return digits === undefined ? factor : Number(factor.toPrecision(digits));
  });
}

function unknownScaling(found: string): ModelError {
  return new ModelError({
    code: 'MODEL_CONFIG_INVALID',
    what: `The scaling of rotary positions in this GGUF file is none that Lathe knows: ${found}.`,
    whatToDo: 'Use the safetensors model that it was made from.',
  });
}
