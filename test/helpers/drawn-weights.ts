import type { WeightSource } from '../../core/model/weight-source.ts';

/** A tensor of a fixture: what its weights are drawn from. */
export interface DrawnTensor {
  name: string;
  shape: number[];
  mean: number;
  spread: number;
}

/** The `count` first numbers of a tensor, from -1 to below 1: `draw` of scripts/interop/make-forward-fixtures.py. */
function draw(seed: number, tensor: number, count: number): Float64Array {
  const start = (Math.imul(seed, 0x9e3779b1) + Math.imul(tensor, 0x85ebca77)) >>> 0;
  return Float64Array.from({ length: count }, (_, element) => {
    let x = (start + element) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return (x >>> 16) / 32768 - 1;
  });
}

/** Weights that no file holds: each a function of seed, tensor and element. */
export function drawnWeights(seed: number, tensors: readonly DrawnTensor[]): WeightSource {
  return {
    names: new Set(tensors.map(({ name }) => name)),
    shapeOf: (name) => tensors.find((tensor) => tensor.name === name)?.shape ?? null,
    read(name, out) {
      const index = tensors.findIndex((tensor) => tensor.name === name);
      const { mean, spread } = tensors[index]!;
      out.set(draw(seed, index, out.length).map((value) => mean + spread * value));
      return Promise.resolve();
    },
  };
}
