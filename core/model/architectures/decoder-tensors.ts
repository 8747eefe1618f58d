import { ModelError } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import type { WeightSource } from '../weight-source.ts';
import type {
  AttentionHalf,
  DecoderDescription,
  LinearMap,
  MlpHalf,
  Normalization,
  Projections,
} from './decoder-description.ts';

/** The name and shape of a tensor that a description needs. */
export interface NeededTensor {
  name: string;
  shape: readonly number[];
}

/** The linear maps that make queries, keys and values. */
export function projectionMaps(projections: Projections): LinearMap[] {
  return projections.kind === 'fused' ? [projections.map] : [projections.query, projections.key, projections.value];
}

/** The linear maps of an MLP half between its norm and its last matrix. */
export function innerMaps({ maps }: MlpHalf): LinearMap[] {
  switch (maps.kind) {
    case 'gated':
      return [maps.gate, maps.up];
    case 'gated-fused':
      return [maps.gateUp];
    case 'plain':
      return [maps.up];
  }
}

export function attentionTensors(half: AttentionHalf): NeededTensor[] {
  return [
    ...normTensors(half.inputNorm),
    ...projectionMaps(half.projections).flatMap(mapTensors),
    ...normTensors(half.queryNorm?.norm ?? null),
    ...normTensors(half.keyNorm?.norm ?? null),
    ...mapTensors(half.output),
    ...normTensors(half.outputNorm),
  ];
}

export function mlpTensors(half: MlpHalf): NeededTensor[] {
  return [
    ...normTensors(half.inputNorm),
    ...innerMaps(half).flatMap(mapTensors),
    ...mapTensors(half.down),
    ...normTensors(half.outputNorm),
  ];
}

export function mapTensors(map: LinearMap): NeededTensor[] {
  const shape = map.layout === 'out-in' ? [map.outFeatures, map.inFeatures] : [map.inFeatures, map.outFeatures];
  const bias = map.bias === null ? [] : [{ name: map.bias, shape: [map.outFeatures] }];
  return [{ name: map.weight, shape }, ...bias];
}

export function normTensors(norm: Normalization | null): NeededTensor[] {
  if (norm === null) return [];
  const bias = norm.bias === null ? [] : [{ name: norm.bias, shape: [norm.size] }];
  return [{ name: norm.weight, shape: [norm.size] }, ...bias];
}

export function embeddingTensors({ embedding, vocabularySize, hiddenSize }: DecoderDescription): NeededTensor[] {
  const tokens = { name: embedding.tokens, shape: [vocabularySize, hiddenSize] };
  if (embedding.positions === null) return [tokens];
  return [tokens, { name: embedding.positions.weight, shape: [embedding.positions.count, hiddenSize] }];
}

/** Every tensor of a decoder, a tied head's not again. */
export function decoderTensors(decoder: DecoderDescription): NeededTensor[] {
  const isTied = decoder.head.weight === decoder.embedding.tokens;
  return [
    ...embeddingTensors(decoder),
    ...decoder.blocks.flatMap(({ attention, mlp }) => [...attentionTensors(attention), ...mlpTensors(mlp)]),
    ...normTensors(decoder.finalNorm),
    ...(isTied ? [] : mapTensors(decoder.head)),
  ];
}

/** Stored by some programs beside the weights, and no part of the computation: buffers, and image parts of a model. */
const NO_WEIGHTS = [
  /\.rotary_emb\.inv_freq$/,
  /(^|\.)h\.\d+\.attn\.(bias|masked_bias)$/,
  /^(model\.)?(vision_tower|multi_modal_projector)\./,
];

/**
 * Checks that the stored tensors are those that the config asks for: none missing, none of another shape, none left over.
 *
 * A head that is stored although it is tied is left out, as Transformers does.
 * @throws ModelError MODEL_TENSOR_MISSING, MODEL_SHAPE_MISMATCH, MODEL_TENSOR_UNEXPECTED
 */
export function checkDecoderTensors(decoder: DecoderDescription, weights: WeightSource): void {
  const needed = decoderTensors(decoder);
  for (const { name, shape } of needed) {
    const stored = weights.shapeOf(name);
    if (stored === null) throw missing(decoder, name);
    if (stored.length !== shape.length || stored.some((dimension, index) => dimension !== shape[index])) {
      throw new ModelError({
        code: 'MODEL_SHAPE_MISMATCH',
        what: `Tensor ${quoted(name)} has shape [${stored.join(', ')}], but config.json asks for [${shape.join(', ')}].`,
        where: { tensor: name },
        whatToDo: 'Use the config.json that belongs to these weights.',
      });
    }
  }
  const known = new Set(needed.map(({ name }) => name));
  known.add(`${decoder.head.name}.weight`);
  for (const name of weights.names) {
    if (known.has(name) || NO_WEIGHTS.some((pattern) => pattern.test(name))) continue;
    throw new ModelError({
      code: 'MODEL_TENSOR_UNEXPECTED',
      what: `Tensor ${quoted(name)} is stored, but a ${decoder.family} model with this config.json does not use it.`,
      where: { tensor: name },
      whatToDo: 'Use the config.json that belongs to these weights.',
    });
  }
}

function missing(decoder: DecoderDescription, name: string): ModelError {
  const isHead = name === decoder.head.weight;
  return new ModelError({
    code: 'MODEL_TENSOR_MISSING',
    what: isHead
      ? `Tensor ${quoted(name)} is not stored, but config.json says that the head is not tied to the embeddings.`
      : `Tensor ${quoted(name)} is not stored, but config.json asks for it.`,
    where: { tensor: name },
    whatToDo: 'Use the config.json that belongs to these weights, or download all of the weights.',
  });
}
