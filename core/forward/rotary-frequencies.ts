import { assertNever } from '../errors.ts';
import type { RotaryEmbedding, RotaryScaling } from '../model/architectures/decoder-description.ts';

/** Cosines and sines of every position, f32 [positions, dimensions / 2]. */
export interface RotaryTables {
  cosines: Float32Array;
  sines: Float32Array;
}

/**
 * The rotary tables for windows of one length.
 *
 * Source: RoFormer, arXiv:2104.09864, section 3.4.2; frequencies and their products with positions are rounded to f32, as
 * Transformers computes them.
 */
export function rotaryTables(rotary: RotaryEmbedding, length: number): RotaryTables {
  const frequencies = rotaryFrequencies(rotary, length);
  const factor = attentionFactor(rotary.scaling);
  const half = frequencies.length;
  const cosines = new Float32Array(length * half);
  const sines = new Float32Array(length * half);
  for (let position = 0; position < length; position++) {
    for (const [index, frequency] of frequencies.entries()) {
      const angle = Math.fround(position * frequency);
      cosines[position * half + index] = Math.fround(Math.cos(angle)) * factor;
      sines[position * half + index] = Math.fround(Math.sin(angle)) * factor;
    }
  }
  return { cosines, sines };
}

/**
 * Radians a position, for each pair of dimensions.
 *
 * Source: Hugging Face Transformers 5.24, `modeling_rope_utils.py`, which names the papers: position interpolation
 * (linear), NTK by sequence length (dynamic), Llama 3.1, YaRN (arXiv:2309.00071), LongRoPE (arXiv:2402.13753).
 * @param length of the sequence at hand: dynamic and LongRoPE frequencies depend on it
 */
export function rotaryFrequencies({ dimensions, base, scaling }: RotaryEmbedding, length: number): Float32Array {
  switch (scaling.kind) {
    case 'default':
      return plainFrequencies(dimensions, base);
    case 'linear':
      return plainFrequencies(dimensions, base).map((frequency) => frequency / scaling.factor);
    case 'dynamic': {
      const { factor, originalPositions } = scaling;
      const stretch = (factor * Math.max(length, originalPositions)) / originalPositions - (factor - 1);
      return plainFrequencies(dimensions, base * stretch ** (dimensions / (dimensions - 2)));
    }
    case 'llama3':
      return plainFrequencies(dimensions, base).map((frequency) => llama3Frequency(frequency, scaling));
    case 'yarn':
      return yarnFrequencies(dimensions, base, scaling);
    case 'longrope': {
      const factors = length > scaling.originalPositions ? scaling.longFactors : scaling.shortFactors;
      return Float32Array.from(
        factors,
        (factor, index) => 1 / Math.fround(Math.fround(factor) * power(base, dimensions, index)),
      );
    }
    default:
      return assertNever(scaling, 'rotary scaling');
  }
}

/** YaRN and LongRoPE multiply cosines and sines, and with them the scores, by a factor. */
function attentionFactor(scaling: RotaryScaling): number {
  return scaling.kind === 'yarn' || scaling.kind === 'longrope' ? scaling.attentionFactor : 1;
}

function plainFrequencies(dimensions: number, base: number): Float32Array {
  return Float32Array.from({ length: dimensions / 2 }, (_, index) => 1 / power(base, dimensions, index));
}

/** base^(2 i / dimensions), with f32's roundings. */
function power(base: number, dimensions: number, index: number): number {
  return Math.fround(base ** Math.fround((2 * index) / dimensions));
}

function llama3Frequency(frequency: number, scaling: RotaryScaling & { kind: 'llama3' }): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalPositions } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalPositions / highFrequencyFactor) return frequency;
  if (wavelength > originalPositions / lowFrequencyFactor) return frequency / factor;
  const smooth = (originalPositions / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

function yarnFrequencies(dimensions: number, base: number, scaling: RotaryScaling & { kind: 'yarn' }): Float32Array {
  const { factor, betaFast, betaSlow, originalPositions, truncates } = scaling;
  /** The dimension that turns so many times over the original positions. */
  const dimensionOf = (rotations: number) =>
    (dimensions * Math.log(originalPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  const round = (value: number, to: (value: number) => number) => (truncates ? to(value) : value);
  const low = Math.max(round(dimensionOf(betaFast), Math.floor), 0);
  const top = Math.min(round(dimensionOf(betaSlow), Math.ceil), dimensions - 1);
  // A ramp of no width would divide by zero.
  const high = top === low ? top + 0.001 : top;
  return plainFrequencies(dimensions, base).map((frequency, index) => {
    const ramp = Math.min(Math.max((index - low) / (high - low), 0), 1);
    return (frequency / factor) * ramp + frequency * (1 - ramp);
  });
}
