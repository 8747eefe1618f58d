import { describe, expect, it } from 'vitest';
import type { GgufMix } from '../../../../../core/contract/gguf-mixes.ts';
import { typeInMix, type MixFacts, type MixedTensor } from '../../../../../core/methods/gguf/gguf-types.ts';

const FACTS: MixFacts = { layers: 32, isTied: false, queriesPerKey: 4, hasImportance: false };

function tensor(module: string, layer: number | null, columns = 4096): MixedTensor {
  return { name: module, module, layer, shape: [512, columns] };
}

function types(mix: GgufMix, module: string, facts: Partial<MixFacts> = {}): string[] {
  const all = { ...FACTS, ...facts };
  return Array.from({ length: all.layers }, (_, layer) => typeInMix(tensor(module, layer), mix, all).type);
}

describe('typeInMix', () => {
  it('gives the first and last eighth of the layers, and every third between, more bits in Q4_K_M', () => {
    const expected = Array.from({ length: 32 }, (_, layer) => {
      return layer < 4 || layer >= 28 || (layer - 4) % 3 === 2 ? 'Q6_K' : 'Q4_K';
    });
    expect(types('Q4_K_M', 'attn_v')).toEqual(expected);
    expect(types('Q4_K_M', 'ffn_down')).toEqual(expected);
    expect(new Set(types('Q4_K_M', 'attn_q'))).toEqual(new Set(['Q4_K']));
    expect(types('Q5_K_M', 'ffn_down')[0]).toBe('Q6_K');
  });

  it.each<[GgufMix, string, Partial<MixFacts>, Record<number, string>]>([
    ['Q4_K_S', 'attn_v', {}, { 0: 'Q5_K', 3: 'Q5_K', 4: 'Q4_K' }],
    ['Q4_K_S', 'ffn_down', {}, { 0: 'Q5_K', 3: 'Q5_K', 4: 'Q4_K' }],
    ['Q5_K_S', 'ffn_down', {}, { 0: 'Q5_K' }],
    ['Q3_K_M', 'attn_v', {}, { 0: 'Q5_K', 1: 'Q5_K', 2: 'Q4_K' }],
    ['Q3_K_M', 'ffn_down', {}, { 0: 'Q5_K', 1: 'Q5_K', 2: 'Q4_K' }],
    ['Q3_K_M', 'attn_output', {}, { 5: 'Q4_K' }],
    ['Q3_K_S', 'attn_v', {}, { 0: 'Q3_K' }],
    ['Q3_K_L', 'attn_output', {}, { 0: 'Q5_K' }],
    ['Q2_K', 'attn_v', {}, { 0: 'Q4_K' }],
    ['Q2_K', 'attn_v', { queriesPerKey: 1 }, { 0: 'Q3_K' }],
    ['Q2_K', 'ffn_down', {}, { 9: 'Q3_K' }],
    ['Q2_K', 'attn_output', {}, { 9: 'Q3_K' }],
    ['Q2_K', 'attn_q', {}, { 9: 'Q2_K' }],
    ['IQ4_XS', 'attn_v', {}, { 9: 'Q5_K' }],
    ['IQ4_XS', 'attn_v', { queriesPerKey: 2 }, { 9: 'IQ4_XS' }],
    ['IQ4_XS', 'ffn_down', {}, { 0: 'Q5_K', 4: 'IQ4_XS' }],
    ['IQ4_XS', 'ffn_down', { hasImportance: true }, { 0: 'IQ4_XS' }],
    ['Q4_0', 'ffn_down', {}, { 0: 'Q4_0' }],
    ['Q4_0', 'ffn_down', { hasImportance: true }, { 0: 'Q4_1', 4: 'Q4_0' }],
    ['Q8_0', 'ffn_down', {}, { 0: 'Q8_0' }],
  ])('%s makes %s (%o) what llama.cpp makes it', (mix, module, facts, expected) => {
    const all = types(mix, module, facts);
    for (const [layer, type] of Object.entries(expected)) expect(all[Number(layer)]).toBe(type);
  });

  it('makes the output matrix Q6_K, and the embedding too where the two are tied', () => {
    const type = (mix: GgufMix, module: string, isTied: boolean) =>
      typeInMix(tensor(module, null), mix, { ...FACTS, isTied }).type;
    expect(type('Q4_K_M', 'output', false)).toBe('Q6_K');
    expect(type('Q4_K_M', 'token_embd', false)).toBe('Q4_K');
    expect(type('Q4_K_M', 'token_embd', true)).toBe('Q6_K');
    expect(type('Q8_0', 'output', false)).toBe('Q8_0');
    expect(type('BF16', 'token_embd', true)).toBe('BF16');
  });

  it('keeps vectors in single precision', () => {
    const norm = { name: 'n', module: 'attn_norm', layer: 0, shape: [4096] };
    expect(typeInMix(norm, 'Q2_K', FACTS)).toEqual({ type: 'F32', insteadOf: null });
  });

  it.each<[GgufMix, number, string]>([
    ['Q4_K_M', 704, 'Q5_0'],
    ['Q5_K_M', 704, 'Q5_1'],
    ['Q6_K', 704, 'Q8_0'],
    ['Q2_K', 704, 'Q4_0'],
    ['Q3_K_S', 704, 'Q4_0'],
    ['IQ4_XS', 704, 'IQ4_NL'],
    ['Q4_0', 48, 'F16'],
    ['Q6_K', 48, 'F16'],
  ])('of %s with rows of %i falls back to %s, and says from what', (mix, columns, type) => {
    const found = typeInMix(tensor('attn_k', 9, columns), mix, FACTS);
    expect(found.type).toBe(type);
    expect(found.insteadOf).toBe(mix.replace(/_[SML]$/, ''));
  });
});
