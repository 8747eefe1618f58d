import type { DecoderDescription } from '../model/architectures/decoder-description.ts';
import { PartBuilder, type PartGraph } from './part-graph.ts';

/**
 * Token ids to hidden states.
 *
 * Inputs besides the weights: `ids` i32 [rows]; with learned positions `positions` i32 [rows]. Output: `result`
 * f32 [rows, hiddenSize].
 */
export function embeddingGraph({ embedding, vocabularySize, hiddenSize }: DecoderDescription): PartGraph {
  const builder = new PartBuilder();
  const { graph } = builder;
  const ids = graph.input('ids', 'int32', ['rows']);
  const tokens = builder.weight('tokens', embedding.tokens, [vocabularySize, hiddenSize]);
  let result = graph.node('Gather', [tokens, ids]);
  if (embedding.scale !== 1) result = graph.node('Mul', [result, graph.scalar(embedding.scale)]);
  if (embedding.positions !== null) {
    const { weight, count } = embedding.positions;
    const learned = builder.weight('learnedPositions', weight, [count, hiddenSize]);
    const positions = graph.input('positions', 'int32', ['rows']);
    result = graph.node('Add', [result, graph.node('Gather', [learned, positions])]);
  }
  builder.output('result', result, hiddenSize);
  return builder.finish('embedding');
}

/** The norm after the last block. Input: `hidden`; output: `result`; both f32 [rows, hiddenSize]. */
export function finalNormGraph({ finalNorm, hiddenSize }: DecoderDescription): PartGraph {
  const builder = new PartBuilder();
  const result = builder.normalize('finalNorm', finalNorm, builder.hiddenInput(hiddenSize));
  builder.output('result', result, hiddenSize);
  return builder.finish('final norm');
}

/** Logits. Input: `hidden` f32 [rows, hiddenSize]; output: `result` f32 [rows, vocabularySize]. */
export function headGraph({ head, hiddenSize, vocabularySize, logitSoftCap }: DecoderDescription): PartGraph {
  const builder = new PartBuilder();
  const logits = builder.linear('head', head, builder.hiddenInput(hiddenSize));
  builder.output('result', builder.softCap(logitSoftCap, logits), vocabularySize);
  return builder.finish('head');
}
