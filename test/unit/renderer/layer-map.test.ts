import { describe, expect, it } from 'vitest';
import type { ExplainedTensor } from '../../../core/contract/explain-result.ts';
import { layerMap, shadeOf } from '../../../renderer/model/layer-map.ts';

function explained(name: string, becomes: string, shape: number[] = [8, 8]): ExplainedTensor {
  return { name, shape, dtype: 'BF16', becomes, method: 'rtn', rule: 'step 1' };
}

describe('layerMap', () => {
  const map = layerMap([
    explained('model.embed_tokens.weight', 'Q6_K'),
    explained('model.layers.1.mlp.down_proj.weight', 'Q6_K'),
    explained('model.layers.1.self_attn.q_proj.weight', 'Q4_K'),
    explained('model.layers.0.self_attn.q_proj.weight', 'Q4_K'),
    explained('model.layers.0.input_layernorm.weight', 'F32', [8]),
    explained('model.layers.0.mlp.experts.0.down_proj.weight', 'Q4_K'),
    explained('model.layers.0.mlp.experts.1.down_proj.weight', 'Q5_K'),
  ]);

  it('has blocks as rows, in order, and projections as columns in the order people know', () => {
    expect(map.columns).toEqual(['q_proj', 'down_proj']);
    expect(map.blocks.map(({ label }) => label)).toEqual(['0', '1']);
    expect(map.blocks[1]?.cells.map((cell) => cell?.becomes)).toEqual(['Q4_K', 'Q6_K']);
  });

  it('keeps matrices outside of blocks apart, and counts vectors', () => {
    expect(map.others.map(({ label }) => label)).toEqual(['embeddings']);
    expect(map.vectors).toBe(1);
  });

  it('says so where many tensors of a cell become different things', () => {
    const cell = map.blocks[0]?.cells[1];
    expect(cell).toMatchObject({ becomes: 'mixed', bits: null });
    expect(cell?.tensors).toHaveLength(2);
  });

  it('shades by bits, and not where only a run can tell', () => {
    const shades = ['Q2_K', 'Q3_K', 'Q4_K', 'Q6_K', 'Q8_0', 'dfloat11', 'allocated'].map((becomes) => {
      const [row] = layerMap([explained('model.layers.0.mlp.up_proj.weight', becomes)]).blocks;
      const cell = row?.cells[0];
      return cell ? shadeOf(cell) : undefined;
    });
    expect(shades).toEqual([0, 1, 2, 3, 4, 4, null]);
  });
});
