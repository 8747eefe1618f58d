import { describe, expect, test } from 'vitest';
import { forwardMemory, planForward, type PassShape } from '../../../../core/forward/forward-memory.ts';
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

/** Windows of so many tokens, on two threads. */
function on(length: number): PassShape {
  return { length, threads: 2 };
}

describe('a forward pass', () => {
  test('keeps all weights where they fit, and never takes more than it is given from the least on', () => {
    const { leastBytes, fullBytes } = forwardMemory(llama(), on(256));
    expect(planForward(llama(), fullBytes, on(256))).toMatchObject({
      blockWeightBytes: Infinity,
      peakBytes: fullBytes,
    });
    expect(planForward(llama(), fullBytes - 1, on(256)).blockWeightBytes).toBeLessThan(fullBytes);
    for (let bytes = leastBytes; bytes < fullBytes + MIB; bytes += MIB) {
      expect(planForward(llama(), bytes, on(256)).peakBytes).toBeLessThanOrEqual(bytes);
    }
    expect(planForward(llama(), 0, on(256)).peakBytes).toBe(leastBytes);
  });

  test('reads two blocks at a time at least: the least does not grow with the number of blocks', () => {
    const few = forwardMemory(llama(), on(256));
    const many = forwardMemory(llama({ num_hidden_layers: 80 }), on(256));
    expect(many.leastBytes).toBe(few.leastBytes);
    // 40 more of the blocks, of which each has 196,608 weights of attention, 393,216 of its MLP and two norms.
    expect(many.fullBytes - few.fullBytes).toBe(40 * 4 * (196_608 + 393_216 + 512));
  });

  test('carries more windows along while it reads weights again, where there is room for them', () => {
    const { fullBytes } = forwardMemory(llama(), on(64));
    const streaming = planForward(llama(), fullBytes - 1, on(64));
    const resident = planForward(llama(), fullBytes, on(64));
    expect(streaming.windowsPerRun).toBe(resident.windowsPerRun);
    expect(streaming.windowsPerWalk).toBeGreaterThan(resident.windowsPerWalk);
    expect(streaming.windowsPerWalk * 64).toBeLessThanOrEqual(16_384);
  });

  test('takes one long window at a time, and room for it', () => {
    const plan = planForward(llama(), 2 ** 40, on(4096));
    expect(plan).toMatchObject({ windowsPerRun: 1, windowsPerWalk: 1 });
    expect(plan.peakBytes).toBeGreaterThan(planForward(llama(), 2 ** 40, on(256)).peakBytes);
  });

  test('counts a tied head once, and a head of its own', () => {
    const head = 1024 * 256 * 4;
    const [tied, own] = [llama(), llama({ tie_word_embeddings: false })].map((decoder) =>
      forwardMemory(decoder, on(256)),
    );
    expect(own!.leastBytes - tied!.leastBytes).toBe(head);
  });

  test('never counts scores of all pairs of positions, capped or not', () => {
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
    const [capped, free] = [gemma(50), gemma(null)].map((decoder) => forwardMemory(decoder, on(8192)).leastBytes);
    expect(capped).toBe(free);
    expect(forwardMemory(gemma(50), on(8192)).leastBytes).toBeLessThan(8 * 8192 * 8192 * 4);
  });

  test('counts the packed keys and values of a window for each thread', () => {
    const least = (threads: number) => forwardMemory(llama(), { length: 4096, threads }).leastBytes;
    expect(least(3) - least(2)).toBe(4 * (4096 + 64) * (2 * 32 + 32));
  });
});
