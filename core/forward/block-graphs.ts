import type { AttentionHalf, DecoderBlock } from '../model/architectures/decoder-description.ts';
import { mlpValue } from './mlp-values.ts';
import type { Value } from './onnx-graph.ts';
import { PartBuilder, type PartGraph } from './part-graph.ts';

/**
 * The first part of a block: queries, keys and values of normed hidden states, not turned yet.
 *
 * Input besides the weights: `hidden` f32 [rows, hiddenSize]. Outputs: `query` f32 [rows, heads * headSize], `key` and
 * `value` f32 [rows, keyHeads * headSize]; or all three side by side as `queryKeyValue`.
 */
function projectionGraph(half: AttentionHalf, hiddenSize: number, hasTaps: boolean): PartGraph {
  const builder = new PartBuilder(hasTaps);
  const { graph } = builder;
  const { heads, keyHeads, headSize, projections } = half;
  const x = builder.normalize('inputNorm', half.inputNorm, builder.hiddenInput(hiddenSize));
  if (projections.kind === 'fused') {
    const columns = (heads + 2 * keyHeads) * headSize;
    builder.output('queryKeyValue', builder.linear('queryKeyValue', projections.map, x), columns);
    return builder.finish('projections');
  }
  const normed = (role: string, norm: AttentionHalf['queryNorm'], vector: Value, columns: number): Value => {
    if (norm === null) return vector;
    const size = norm.over === 'head' ? headSize : norm.norm.size;
    const rows = graph.node('Reshape', [vector, graph.int64s([-1, size])]);
    return graph.node('Reshape', [builder.normalize(role, norm.norm, rows), graph.int64s([-1, columns])]);
  };
  const [queries, keys] = [heads * headSize, keyHeads * headSize];
  const query = normed('queryNorm', half.queryNorm, builder.linear('query', projections.query, x), queries);
  const key = normed('keyNorm', half.keyNorm, builder.linear('key', projections.key, x), keys);
  builder.output('query', query, queries);
  builder.output('key', key, keys);
  builder.output('value', builder.linear('value', projections.value, x), keys);
  return builder.finish('projections');
}

/** Which halves of a block a walk computes. */
export interface BlockHalves {
  attention: boolean;
  mlp: boolean;
}

/**
 * What follows attention: its output map and the residual, then the MLP half; or one of the two alone.
 *
 * Inputs besides the weights: `hidden` f32 [rows, hiddenSize]; with attention `attended` f32 [rows, heads * headSize].
 * Output: `result` f32 [rows, hiddenSize].
 */
function tailGraph(
  { attention, mlp }: DecoderBlock,
  halves: BlockHalves,
  hiddenSize: number,
  hasTaps: boolean,
): PartGraph {
  const builder = new PartBuilder(hasTaps);
  let hidden = builder.hiddenInput(hiddenSize);
  if (halves.attention) {
    const attended = builder.rowsInput('attended', attention.heads * attention.headSize);
    const output = builder.linear('output', attention.output, attended);
    hidden = builder.graph.node('Add', [hidden, builder.normalize('outputNorm', attention.outputNorm, output)]);
  }
  if (halves.mlp) hidden = mlpValue(builder, mlp, hidden);
  builder.output('result', hidden, hiddenSize);
  return builder.finish(halves.attention ? (halves.mlp ? 'attended and mlp' : 'attended') : 'mlp');
}

/** The graphs of one block, built when they are first asked for. */
export class BlockGraphs {
  readonly #block: DecoderBlock;
  readonly #hiddenSize: number;
  readonly #graphs = new Map<string, PartGraph>();

  constructor(block: DecoderBlock, hiddenSize: number) {
    this.#block = block;
    this.#hiddenSize = hiddenSize;
  }

  projections(hasTaps: boolean): PartGraph {
    return this.#get(`projections ${hasTaps}`, () => projectionGraph(this.#block.attention, this.#hiddenSize, hasTaps));
  }

  tail(halves: BlockHalves, hasTaps: boolean): PartGraph {
    return this.#get(`tail ${halves.attention} ${halves.mlp} ${hasTaps}`, () =>
      tailGraph(this.#block, halves, this.#hiddenSize, hasTaps),
    );
  }

  #get(key: string, build: () => PartGraph): PartGraph {
    let graph = this.#graphs.get(key);
    if (graph === undefined) {
      graph = build();
      this.#graphs.set(key, graph);
    }
    return graph;
  }
}
