/** One ONNX model out of a decoder's parts, its weights constants: what a forward pass in one session would be. */
import { embeddingGraph, finalNormGraph, headGraph } from '../../../core/forward/edge-graphs.ts';
import { BlockGraphs } from '../../../core/forward/block-graphs.ts';
import type { PartGraph } from '../../../core/forward/part-graph.ts';
import { ProtobufWriter } from '../../../core/forward/protobuf-writer.ts';
import type { DecoderDescription } from '../../../core/model/architectures/decoder-description.ts';
import type { WeightSource } from '../../../core/model/weight-source.ts';
import { groupedAttentionGraph } from './grouped-attention-graph.ts';

interface Field {
  number: number;
  /** Of a varint. */
  value: number;
  /** Of a length-delimited field; empty for others. */
  bytes: Uint8Array;
}

/** The fields of a message that has varints and length-delimited fields alone, as parts have but for attributes. */
function fieldsOf(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  function varint(): number {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  }
  while (at < message.length) {
    const tag = varint();
    const number = tag >> 3;
    if ((tag & 7) === 0) {
      fields.push({ number, value: varint(), bytes: new Uint8Array(0) });
    } else {
      const size = varint();
      fields.push({ number, value: 0, bytes: message.subarray(at, at + size) });
      at += size;
    }
  }
  return fields;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function graphFields(model: Uint8Array): Field[] {
  return fieldsOf(fieldsOf(model).find(({ number }) => number === 7)?.bytes ?? new Uint8Array(0));
}

/** The name that a part's graph was given. */
export function graphName(model: Uint8Array): string {
  return textOf(graphFields(model).find(({ number }) => number === 2)?.bytes ?? new Uint8Array(0));
}

/** Copies a message, the strings of some fields renamed. */
function renamed(message: Uint8Array, numbers: readonly number[], rename: (name: string) => string): ProtobufWriter {
  const written = new ProtobufWriter();
  for (const { number, value, bytes } of fieldsOf(message)) {
    if (numbers.includes(number)) written.string(number, rename(textOf(bytes)));
    else if (bytes.length > 0) written.bytes(number, bytes);
    else written.int(number, value);
  }
  return written;
}

/** Inputs that all parts share. */
const SHARED = ['ids', 'windowShape', 'lastPositions', 'length', 'cosines', 'sines'];

/**
 * Joins the parts of a decoder; its output is `logits` [rows, vocabularySize].
 *
 * For models with one rotary embedding, no learned positions and weights below 2 GiB in float32.
 */
export async function mergeParts(description: DecoderDescription, weights: WeightSource): Promise<Uint8Array> {
  const { blocks, hiddenSize } = description;
  const parts = [
    embeddingGraph(description),
    ...blocks.flatMap((block) => [
      groupedAttentionGraph(block.attention, hiddenSize),
      new BlockGraphs(block, hiddenSize).tail({ attention: false, mlp: true }, false),
    ]),
    finalNormGraph(description),
    headGraph(description),
  ];
  const nodes: ProtobufWriter[] = [];
  const constants: ProtobufWriter[] = [];
  const inputs = new Map<string, ProtobufWriter>();
  let output: ProtobufWriter | null = null;
  parts.forEach((part, index) => {
    const isLast = index === parts.length - 1;
    const tensors = new Map(part.weights.map(({ input, tensor }) => [input, `weight ${tensor}`]));
    const rename = (name: string): string => {
      if (name === '' || SHARED.includes(name)) return name;
      if (name === 'hidden') return `part ${index - 1} result`;
      if (name === 'result' && isLast) return 'logits';
      return tensors.get(name) ?? `part ${index} ${name}`;
    };
    for (const { number, bytes } of graphFields(part.model)) {
      if (number === 1) nodes.push(renamed(bytes, [1, 2, 3], rename));
      if (number === 5) constants.push(renamed(bytes, [8], rename));
      const name = number === 11 ? textOf(fieldsOf(bytes)[0]?.bytes ?? bytes) : '';
      if (SHARED.includes(name)) inputs.set(name, renamed(bytes, [1], rename));
      if (number === 12 && isLast) output = renamed(bytes, [1], rename);
    }
  });
  for (const [tensor, { shape, values }] of await readWeights(parts, weights)) {
    const written = new ProtobufWriter();
    for (const dimension of shape) written.int(1, dimension);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    constants.push(written.int(2, 1).string(8, `weight ${tensor}`).bytes(9, bytes));
  }
  const graph = new ProtobufWriter();
  for (const node of nodes) graph.message(1, node);
  graph.string(2, 'monolith');
  for (const constant of constants) graph.message(5, constant);
  for (const input of inputs.values()) graph.message(11, input);
  if (output !== null) graph.message(12, output);
  return new ProtobufWriter()
    .int(1, 10)
    .message(7, graph)
    .message(8, new ProtobufWriter().string(1, '').int(2, 21))
    .message(8, new ProtobufWriter().string(1, 'com.microsoft').int(2, 1))
    .finish();
}

async function readWeights(parts: readonly PartGraph[], weights: WeightSource) {
  const found = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const { tensor, shape } of parts.flatMap((part) => part.weights)) {
    if (found.has(tensor)) continue;
    const values = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
    await weights.read(tensor, values);
    found.set(tensor, { shape, values });
  }
  return found;
}
