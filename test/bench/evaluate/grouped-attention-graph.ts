import type { AttentionHalf } from '../../../core/model/architectures/decoder-description.ts';
import { MICROSOFT, type Attribute, type Value } from '../../../core/forward/onnx-graph.ts';
import { PartBuilder, type PartGraph } from '../../../core/forward/part-graph.ts';

/**
 * The attention half of a block in ONNX Runtime's own operators, as one session for a whole model would have it: hidden + attention(norm(hidden)).
 *
 * Inputs besides the weights: `hidden` f32 [rows, hiddenSize]; `windowShape` i64 [3] = [windows, length, -1];
 * `lastPositions` i32 [windows], each length - 1; `length` i32 scalar; with a rotary embedding `cosines` and `sines`
 * f32 [length or more, dimensions / 2]. Output: `result` f32 [rows, hiddenSize].
 *
 * Scores, mask, soft cap and softmax are ONNX Runtime's GroupQueryAttention: causal by itself, keys shared by groups of
 * query heads, and no score of a later position is ever looked at.
 */
export function groupedAttentionGraph(half: AttentionHalf, hiddenSize: number): PartGraph {
  const builder = new PartBuilder();
  const { graph } = builder;
  const { heads, keyHeads, headSize, projections } = half;
  const hidden = builder.hiddenInput(hiddenSize);
  const windowShape = graph.input('windowShape', 'int64', [3]);
  const lastPositions = graph.input('lastPositions', 'int32', ['windows']);
  const length = graph.input('length', 'int32', []);
  const x = builder.normalize('inputNorm', half.inputNorm, hidden);

  const inWindows = (value: Value) => graph.node('Reshape', [value, windowShape]);
  let query: Value;
  let key = '';
  let value = '';
  if (projections.kind === 'fused') {
    query = inWindows(builder.linear('queryKeyValue', projections.map, x));
  } else {
    const normed = (role: string, norm: AttentionHalf['queryNorm'], vector: Value): Value => {
      if (norm === null) return vector;
      const size = norm.over === 'head' ? headSize : norm.norm.size;
      const rows = graph.node('Reshape', [vector, graph.int64s([-1, size])]);
      return builder.normalize(role, norm.norm, rows);
    };
    query = inWindows(normed('queryNorm', half.queryNorm, builder.linear('query', projections.query, x)));
    key = inWindows(normed('keyNorm', half.keyNorm, builder.linear('key', projections.key, x)));
    value = inWindows(builder.linear('value', projections.value, x));
  }

  const inputs = [query, key, value, '', '', lastPositions, length];
  const attributes: Record<string, Attribute> = {
    num_heads: { int: heads },
    kv_num_heads: { int: keyHeads },
    scale: { float: half.scale },
  };
  if (half.rotary !== null) {
    const shape = ['positions', half.rotary.dimensions / 2];
    inputs.push(graph.input('cosines', 'float32', shape), graph.input('sines', 'float32', shape));
    attributes['do_rotary'] = { int: 1 };
  }
  if (half.softCap !== null) attributes['softcap'] = { float: half.softCap };
  if (half.window !== null) attributes['local_window_size'] = { int: half.window };
  const [attended = ''] = graph.nodes('GroupQueryAttention', inputs, 3, attributes, MICROSOFT);
  const joined = graph.node('Reshape', [attended, graph.int64s([-1, heads * headSize])]);
  const output = builder.normalize('outputNorm', half.outputNorm, builder.linear('output', half.output, joined));
  builder.output('result', graph.node('Add', [hidden, output]), hiddenSize);
  return builder.finish('attention');
}
