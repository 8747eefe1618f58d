import { describe, expect, test } from 'vitest';
import { forwardMemory, planForward } from '../../../../core/forward/forward-memory.ts';
import { describeDecoder } from '../../../../core/model/architectures/describe-decoder.ts';

const MIB = 2 ** 20;

/** A Llama with half a million weights a block. */
function llama(changes: object = {}) {
  const config = {
    model_type: 'llama',
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: 40,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    vocab_size: 1024,
    max_position_embeddings: 512,
    tie_word_embeddings: true,
    ...changes,
  };
  return describeDecoder(config, new Set());
}

describe('a forward pass', () => {
  test('keeps all weights where they fit, and never takes more than it is given from the least on', () => {
    const { leastBytes, fullBytes } = forwardMemory(llama(), 256);
    expect(planForward(llama(), fullBytes, 256)).toMatchObject({ blockWeightBytes: Infinity, peakBytes: fullBytes });
    expect(planForward(llama(), fullBytes - 1, 256).blockWeightBytes).toBeLessThan(fullBytes);
    for (let bytes = leastBytes; bytes < fullBytes + MIB; bytes += MIB) {
      expect(planForward(llama(), bytes, 256).peakBytes).toBeLessThanOrEqual(bytes);
    }
    expect(planForward(llama(), 0, 256).peakBytes).toBe(leastBytes);
  });

  test('reads two blocks at a time at least: the least does not grow with the number of blocks', () => {
    const few = forwardMemory(llama(), 256);
    const many = forwardMemory(llama({ num_hidden_layers: 80 }), 256);
    expect(many.leastBytes).toBe(few.leastBytes);
    // 40 more of the blocks, of which each has 196,608 weights of attention, 393,216 of its MLP and two norms.
    expect(many.fullBytes - few.fullBytes).toBe(40 * 4 * (196_608 + 393_216 + 512));
  });

  test('carries more windows along while it reads weights again, where there is room for them', () => {
    const { fullBytes } = forwardMemory(llama(), 64);
    const streaming = planForward(llama(), fullBytes - 1, 64);
    const resident = planForward(llama(), fullBytes, 64);
    expect(streaming.windowsPerRun).toBe(resident.windowsPerRun);
    expect(streaming.windowsPerWalk).toBeGreaterThan(resident.windowsPerWalk);
    expect(streaming.windowsPerWalk * 64).toBeLessThanOrEqual(16_384);
  });

  test('takes one long window at a time, and room for it', () => {
    const plan = planForward(llama(), 2 ** 40, 4096);
    expect(plan).toMatchObject({ windowsPerRun: 1, windowsPerWalk: 1 });
    expect(plan.peakBytes).toBeGreaterThan(planForward(llama(), 2 ** 40, 256).peakBytes);
  });

  test('counts a tied head once, and a head of its own', () => {
    const head = 1024 * 256 * 4;
    const [tied, own] = [llama(), llama({ tie_word_embeddings: false })].map((decoder) => forwardMemory(decoder, 256));
    expect(own!.leastBytes - tied!.leastBytes).toBe(head);
  });

  test('counts scores of all pairs of positions only where they are capped', () => {
    const gemma = (cap: number | null) =>
      describeDecoder(
        {
          model_type: 'gemma2',
          hidden_size: 256,
          intermediate_size: 512,
          num_hidden_layers: 2,
          num_attention_heads: 8,
          num_key_value_heads: 4,
          head_dim: 32,
          query_pre_attn_scalar: 32,
          sliding_window: 512,
          vocab_size: 1024,
          max_position_embeddings: 8192,
          attn_logit_softcapping: cap,
          final_logit_softcapping: null,
        },
        new Set(),
      );
    const rise = forwardMemory(gemma(50), 4096).leastBytes - forwardMemory(gemma(null), 4096).leastBytes;
    // Two kinds of blocks, each with a session of its own.
    expect(rise).toBe(2 * 8 * 4096 * 4096 * 4);
  });
});
