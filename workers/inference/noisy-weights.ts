import type { WeightSource } from '../../core/model/weight-source.ts';

const NEAREST_BELOW = 0xffff0000;

/**
 * Weights moved to a neighbour in BF16, each by a coin: what rounding alone does to a model, as a measure for changes.
 *
 * A weight that BF16 holds goes to the next number above or below it; any other to one of the two between which it lies. A
 * seed and a tensor's name decide: the same weights move alike whenever they are read. Zeros stay.
 */
export class NoisyWeights implements WeightSource {
  readonly #weights: WeightSource;
  readonly #seed: number;

  constructor(weights: WeightSource, seed: number) {
    this.#weights = weights;
    this.#seed = seed;
  }

  get names(): ReadonlySet<string> {
    return this.#weights.names;
  }

  shapeOf(name: string): readonly number[] | null {
    return this.#weights.shapeOf(name);
  }

  requireNumbers(names: readonly string[]): void {
    this.#weights.requireNumbers?.(names);
  }

  async read(name: string, out: Float32Array): Promise<void> {
    await this.#weights.read(name, out);
    moveToNeighbours(out, hashOf(name, this.#seed));
  }
}

/**
 * Moves each weight by a coin. Changes `weights`.
 *
 * Numbers of one sign are in the order of their bits, so that the neighbour away from zero is one step up in the upper 16
 * bits, and the one towards zero one step down; a step that would leave the finite numbers is not taken.
 */
export function moveToNeighbours(weights: Float32Array, seed: number): void {
  const bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  let state = seed >>> 0;
  for (let index = 0; index < bits.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const word = bits[index] ?? 0;
    if (word << 1 === 0) continue;
    const below = word & NEAREST_BELOW;
    const isExact = below >>> 0 === word;
    const isUp = state >>> 31 === 1;
    const moved = (isUp ? below + 0x10000 : isExact ? below - 0x10000 : below) >>> 0;
    if ((moved & 0x7f800000) !== 0x7f800000) bits[index] = moved;
  }
}

/** FNV-1a over a name's units. */
function hashOf(name: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
