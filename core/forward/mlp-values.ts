import { assertNever } from '../errors.ts';
import type { Activation, MlpHalf } from '../model/architectures/decoder-description.ts';
import type { Value } from './onnx-graph.ts';
import type { PartBuilder } from './part-graph.ts';

/** The MLP half of a block: hidden + down(inner(norm(hidden))). */
export function mlpValue(builder: PartBuilder, half: MlpHalf, hidden: Value): Value {
  const x = builder.normalize('mlpNorm', half.inputNorm, hidden);
  const inner = innerValue(builder, half, x);
  const output = builder.normalize('mlpOutputNorm', half.outputNorm, builder.linear('down', half.down, inner));
  return builder.graph.node('Add', [hidden, output]);
}

function innerValue(builder: PartBuilder, { maps, activation }: MlpHalf, x: Value): Value {
  const { graph } = builder;
  switch (maps.kind) {
    case 'gated': {
      const gate = activate(builder, activation, builder.linear('gate', maps.gate, x));
      return graph.node('Mul', [gate, builder.linear('up', maps.up, x)]);
    }
    case 'gated-fused': {
      const both = builder.linear('gateUp', maps.gateUp, x);
      const [gate = '', up = ''] = graph.nodes('Split', [both], 2, { axis: { int: 1 }, num_outputs: { int: 2 } });
      return graph.node('Mul', [activate(builder, activation, gate), up]);
    }
    case 'plain':
      return activate(builder, activation, builder.linear('up', maps.up, x));
    default:
      return assertNever(maps, 'kind of MLP');
  }
}

function activate(builder: PartBuilder, activation: Activation, x: Value): Value {
  switch (activation) {
    case 'silu':
      // QuickGelu is x · sigmoid(α x), in one pass.
      return builder.fused('QuickGelu', [x], { alpha: { float: 1 } });
    case 'gelu':
      return builder.graph.node('Gelu', [x], { approximate: { string: 'none' } });
    case 'gelu-tanh':
      return builder.graph.node('Gelu', [x], { approximate: { string: 'tanh' } });
    default:
      return assertNever(activation, 'activation');
  }
}
