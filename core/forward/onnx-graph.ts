import { ProtobufWriter } from './protobuf-writer.ts';

/**
 * Versions that ONNX Runtime 1.30 reads; the standard operators in use have not changed since.
 */
const IR_VERSION = 10;
const OPSET_VERSION = 21;
/** ONNX Runtime's own operators. */
export const MICROSOFT = 'com.microsoft';

/** TensorProto.DataType of ONNX. */
const ELEMENT_TYPES = { float32: 1, int32: 6, int64: 7 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** AttributeProto.AttributeType of ONNX. */
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;

/** Numbers of these two kinds look alike in JavaScript, so an attribute says which it is. */
export type Attribute = { int: number } | { float: number } | { string: string } | { ints: readonly number[] };

/** A number, or the name of a dimension that is known when the graph runs. */
export type Dimension = number | string;

/** Name of a value in a graph; '' where an optional input is left out. */
export type Value = string;

/**
 * An ONNX graph under construction: values are names, nodes are appended in the order in which they run.
 *
 * Source: onnx.proto3 of ONNX (IR version 10), whose field numbers stand below.
 */
export class OnnxGraph {
  readonly #nodes: ProtobufWriter[] = [];
  readonly #inputs: ProtobufWriter[] = [];
  readonly #outputs: ProtobufWriter[] = [];
  readonly #constants: ProtobufWriter[] = [];
  readonly #outputNames = new Set<string>();
  #values = 0;

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Appends a node with one output, whose name it gives. */
  node(type: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}, domain = ''): Value {
    const [output = ''] = this.nodes(type, inputs, 1, attributes, domain);
    return output;
  }

  /** Appends a node with several outputs. */
  nodes(
    type: string,
    inputs: readonly Value[],
    outputCount: number,
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): Value[] {
    const outputs = Array.from({ length: outputCount }, () => `v${this.#values++}`);
    const node = new ProtobufWriter();
    for (const name of inputs) node.string(1, name);
    for (const name of outputs) node.string(2, name);
    node.string(3, `${type}_${this.#nodes.length}`).string(4, type);
    for (const [name, attribute] of Object.entries(attributes)) node.message(5, attributeProto(name, attribute));
    if (domain !== '') node.string(7, domain);
    this.#nodes.push(node);
    return outputs;
  }

  /** A whole-number constant, as shapes need them. */
  int64s(values: readonly number[]): Value {
    const bytes = new Uint8Array(8 * values.length);
    const view = new DataView(bytes.buffer);
    for (const [index, value] of values.entries()) view.setBigInt64(8 * index, BigInt(value), true);
    return this.#constant('int64', [values.length], bytes);
  }

  scalar(value: number): Value {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#constant('float32', [], bytes);
  }

  /** Makes a value an output of the graph under a name of its own. */
  output(name: string, value: Value, shape: readonly Dimension[], type: ElementType = 'float32'): void {
    const node = new ProtobufWriter().string(1, value).string(2, name).string(4, 'Identity');
    this.#nodes.push(node);
    this.#outputs.push(valueInfo(name, type, shape));
    this.#outputNames.add(name);
  }

  /** The names of the graph's outputs. */
  get outputNames(): ReadonlySet<string> {
    return this.#outputNames;
  }

  /** The model as an ONNX file's bytes. */
  toModel(name: string): Uint8Array {
    const graph = new ProtobufWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.string(2, name);
    for (const constant of this.#constants) graph.message(5, constant);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return new ProtobufWriter()
      .int(1, IR_VERSION)
      .string(2, 'lathe')
      .message(7, graph)
      .message(8, new ProtobufWriter().string(1, '').int(2, OPSET_VERSION))
      .message(8, new ProtobufWriter().string(1, MICROSOFT).int(2, 1))
      .finish();
  }

  #constant(type: ElementType, shape: readonly number[], bytes: Uint8Array): Value {
    const name = `c${this.#constants.length}`;
    const tensor = new ProtobufWriter();
    for (const dimension of shape) tensor.int(1, dimension);
    this.#constants.push(tensor.int(2, ELEMENT_TYPES[type]).string(8, name).bytes(9, bytes));
    return name;
  }
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): ProtobufWriter {
  const dimensions = new ProtobufWriter();
  for (const dimension of shape) {
    const written = new ProtobufWriter();
    if (typeof dimension === 'number') written.int(1, dimension);
    else written.string(2, dimension);
    dimensions.message(1, written);
  }
  const tensor = new ProtobufWriter().int(1, ELEMENT_TYPES[type]).message(2, dimensions);
  return new ProtobufWriter().string(1, name).message(2, new ProtobufWriter().message(1, tensor));
}

function attributeProto(name: string, attribute: Attribute): ProtobufWriter {
  const written = new ProtobufWriter().string(1, name);
  if ('int' in attribute) return written.int(3, attribute.int).int(20, ATTRIBUTE_INT);
  if ('float' in attribute) return written.float(2, attribute.float).int(20, ATTRIBUTE_FLOAT);
  if ('string' in attribute) return written.string(4, attribute.string).int(20, ATTRIBUTE_STRING);
  for (const value of attribute.ints) written.int(8, value);
  return written.int(20, ATTRIBUTE_INTS);
}
