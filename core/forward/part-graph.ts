import type { LinearMap, Normalization } from '../model/architectures/decoder-description.ts';
import { MICROSOFT, OnnxGraph, type Value } from './onnx-graph.ts';

/** A weight that a graph takes as an input, and the tensor that is bound to it. */
export interface WeightBinding {
  input: string;
  tensor: string;
  shape: readonly number[];
  /** One is added to each element, once, when it is loaded. */
  addsOne: boolean;
}

/** The input of linear maps, offered as an output of the graph. */
export interface InputTap {
  output: string;
  /** Modules that share this input. */
  maps: string[];
  size: number;
}

/** f32 [rows, columns]. */
export interface PartOutput {
  name: string;
  columns: number;
}

/** One part of a model: a graph whose weights are inputs, so that parts of equal outline share a session. */
export interface PartGraph {
  model: Uint8Array;
  weights: readonly WeightBinding[];
  /** Without the taps. */
  outputs: readonly PartOutput[];
  taps: readonly InputTap[];
}

/** Rows of a hidden state: windows times positions. */
const ROWS = 'rows';

/** Builds the graph of one part: `OnnxGraph` with the pieces that decoders are made of. */
export class PartBuilder {
  readonly graph = new OnnxGraph();
  readonly #weights: WeightBinding[] = [];
  readonly #outputs: PartOutput[] = [];
  readonly #taps: InputTap[] = [];
  readonly #hasTaps: boolean;

  /** @param hasTaps whether the inputs of linear maps become outputs */
  constructor(hasTaps = false) {
    this.#hasTaps = hasTaps;
  }

  /** @param role a name within the part, the same for every block */
  weight(role: string, tensor: string, shape: readonly number[], addsOne = false): Value {
    this.#weights.push({ input: role, tensor, shape, addsOne });
    return this.graph.input(role, 'float32', shape);
  }

  rowsInput(name: string, columns: number): Value {
    return this.graph.input(name, 'float32', [ROWS, columns]);
  }

  hiddenInput(size: number): Value {
    return this.rowsInput('hidden', size);
  }

  /** x [rows, in] to [rows, out]. */
  linear(role: string, map: LinearMap, x: Value): Value {
    const { inFeatures, outFeatures } = map;
    if (this.#hasTaps) this.#tap(x, map);
    const isTurned = map.layout === 'in-out';
    const shape = isTurned ? [inFeatures, outFeatures] : [outFeatures, inFeatures];
    const inputs = [x, this.weight(`${role}.weight`, map.weight, shape)];
    if (map.bias !== null) inputs.push(this.weight(`${role}.bias`, map.bias, [outFeatures]));
    return this.graph.node('Gemm', inputs, { transB: { int: isTurned ? 0 : 1 } });
  }

  /** Over the last axis; x itself where there is no norm. */
  normalize(role: string, norm: Normalization | null, x: Value): Value {
    if (norm === null) return x;
    const inputs = [x, this.weight(`${role}.weight`, norm.weight, [norm.size], norm.addsOne)];
    if (norm.bias !== null) inputs.push(this.weight(`${role}.bias`, norm.bias, [norm.size]));
    const type = norm.kind === 'rms' ? 'SimplifiedLayerNormalization' : 'LayerNormalization';
    return this.graph.node(type, inputs, { axis: { int: -1 }, epsilon: { float: norm.epsilon } });
  }

  /** c · tanh(x / c) */
  softCap(cap: number | null, x: Value): Value {
    if (cap === null) return x;
    const bent = this.graph.node('Tanh', [this.graph.node('Div', [x, this.graph.scalar(cap)])]);
    return this.graph.node('Mul', [bent, this.graph.scalar(cap)]);
  }

  /** An operator of ONNX Runtime's own. */
  fused(type: string, inputs: readonly Value[], attributes: Parameters<OnnxGraph['node']>[2]): Value {
    return this.graph.node(type, inputs, attributes, MICROSOFT);
  }

  output(name: string, value: Value, columns: number): void {
    this.graph.output(name, value, [ROWS, columns]);
    this.#outputs.push({ name, columns });
  }

  finish(name: string): PartGraph {
    return { model: this.graph.toModel(name), weights: this.#weights, outputs: this.#outputs, taps: this.#taps };
  }

  #tap(x: Value, { name, inFeatures }: LinearMap): void {
    const output = `tap of ${x}`;
    const known = this.#taps.find((tap) => tap.output === output);
    if (known !== undefined) {
      known.maps.push(name);
      return;
    }
    this.#taps.push({ output, maps: [name], size: inFeatures });
    this.graph.output(output, x, [ROWS, inFeatures]);
  }
}
