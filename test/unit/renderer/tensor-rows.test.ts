import { describe, expect, it } from 'vitest';
import type { InspectedTensor } from '../../../core/contract/results.ts';
import {
  entropySteps,
  filterTensors,
  groupOf,
  sortTensors,
  totalsByGroup,
  totalsOf,
} from '../../../renderer/model/tensor-rows.ts';

function tensor(name: string, shape: number[], changes: Partial<InspectedTensor> = {}): InspectedTensor {
  const storedBytes = 2 * shape.reduce((product, size) => product * size, 1);
  return {
    name,
    canonicalName: name,
    dtype: 'BF16',
    shape,
    storedBytes,
    file: 'model.safetensors',
    bitsPerWeight: 16,
    method: 'plain',
    ...changes,
  };
}

const TENSORS = [
  tensor('model.embed_tokens.weight', [100, 8], { exponentEntropyBits: 2.72 }),
  tensor('model.layers.10.self_attn.q_proj.weight', [8, 8], { exponentEntropyBits: 2.51 }),
  tensor('model.layers.2.self_attn.q_proj.weight', [8, 8], { exponentEntropyBits: 2.54 }),
  tensor('model.layers.2.mlp.up_proj.weight', [16, 8], { dtype: 'F32', exponentEntropyBits: null }),
  tensor('model.norm.weight', [8], { exponentEntropyBits: 0.3 }),
];
const names = (tensors: readonly InspectedTensor[]) => tensors.map(({ name }) => name);

describe('filterTensors', () => {
  it('looks for a text in names and types, whatever its case', () => {
    expect(filterTensors(TENSORS, ' Q_PROJ ')).toHaveLength(2);
    expect(names(filterTensors(TENSORS, 'f32'))).toEqual(['model.layers.2.mlp.up_proj.weight']);
    expect(filterTensors(TENSORS, '')).toBe(TENSORS);
  });

  it('takes regular expressions, and half-written ones as they stand', () => {
    expect(filterTensors(TENSORS, 'layers\\.2\\..*proj')).toHaveLength(2);
    expect(filterTensors(TENSORS, '/norm.w/')).toHaveLength(1);
    expect(filterTensors(TENSORS, 'layers\\.(2')).toHaveLength(0);
  });
});

describe('sortTensors', () => {
  it('sorts block numbers as numbers, and leaves the order of the file alone without a column', () => {
    const [, , third, , fifth] = names(sortTensors(TENSORS, { column: 'name', isDescending: false }));
    expect([third, fifth]).toEqual(['model.layers.2.self_attn.q_proj.weight', 'model.norm.weight']);
    expect(sortTensors(TENSORS, { column: null, isDescending: true })).toBe(TENSORS);
  });

  it('puts what has no figure last when the largest come first', () => {
    expect(sortTensors(TENSORS, { column: 'entropy', isDescending: true }).at(-1)?.dtype).toBe('F32');
  });
});

describe('totals', () => {
  it('sums up elements, bytes and bits', () => {
    expect(totalsOf(TENSORS.slice(1, 3))).toEqual({ count: 2, elements: 128, storedBytes: 256, bitsPerWeight: 16 });
    expect(totalsOf([]).bitsPerWeight).toBe(0);
  });

  it('groups by what a tensor is for, the largest first', () => {
    expect(totalsByGroup(TENSORS).map(({ group, count }) => [group, count])).toEqual([
      ['embeddings', 1],
      ['attention', 2],
      ['mlp', 1],
      ['norms', 1],
    ]);
    expect(groupOf('lm_head.weight')).toBe('head');
    expect(groupOf('model.layers.0.input_layernorm.weight')).toBe('norms');
    expect(groupOf('something')).toBe('other');
  });

  it('gathers bytes of matrices by entropy, with empty steps between', () => {
    const steps = entropySteps(TENSORS, 0.1);
    expect(steps.map(({ bytes }) => bytes)).toEqual([256, 0, 1600]);
    expect(steps[0]?.from).toBeCloseTo(2.5, 9);
    expect(entropySteps([])).toEqual([]);
  });
});
