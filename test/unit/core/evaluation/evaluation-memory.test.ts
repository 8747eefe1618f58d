import { describe, expect, test } from 'vitest';
import {
  contentBytes,
  largerMemory,
  PROCESS_BYTES,
  requireMemory,
  shareMemory,
} from '../../../../core/evaluation/evaluation-memory.ts';
import { forwardMemory } from '../../../../core/forward/forward-memory.ts';
import { describeDecoder } from '../../../../core/model/architectures/describe-decoder.ts';
import { errorOf } from '../../../helpers/error-of.ts';

function llama(layers: number) {
  const config = {
    model_type: 'llama',
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: layers,
    num_attention_heads: 8,
    vocab_size: 1024,
    max_position_embeddings: 512,
    tie_word_embeddings: true,
  };
  return describeDecoder(config, new Set());
}

const CONTENTS = {
  tokenizerBytes: 0,
  textBytes: 0,
  tokens: 0,
  sequences: 0,
  hasReference: false,
  kernelBytes: 0,
};
const GENEROUS = { length: 256, processBytes: PROCESS_BYTES, limitBytes: 2 ** 40, threads: 2 };

describe('the memory of an evaluation', () => {
  test('is that of the process and of each pass', () => {
    const { memory } = shareMemory([llama(4)], GENEROUS);
    const { leastBytes, fullBytes } = forwardMemory(llama(4), { length: 256, threads: 2 });
    expect(memory).toEqual({
      limitBytes: 2 ** 40,
      peakMemoryBytes: PROCESS_BYTES + fullBytes,
      leastMemoryBytes: PROCESS_BYTES + leastBytes,
    });
  });

  test('is shared out so that both passes have their least, and the sum stays below the limit', () => {
    const passes = [llama(4), llama(40)];
    const { leastMemoryBytes, peakMemoryBytes } = shareMemory(passes, GENEROUS).memory;
    for (const part of [0, 0.1, 0.5, 0.9, 1]) {
      const limitBytes = leastMemoryBytes + part * (peakMemoryBytes - leastMemoryBytes);
      const { shares, memory } = shareMemory(passes, { ...GENEROUS, limitBytes });
      expect(memory.peakMemoryBytes).toBeLessThanOrEqual(limitBytes + 1);
      shares.forEach((share, index) => {
        expect(share).toBeGreaterThanOrEqual(forwardMemory(passes[index]!, { length: 256, threads: 2 }).leastBytes);
      });
    }
  });

  test('counts tokenizers, tokens and windows; a text itself only where it is larger than what is scored', () => {
    const none = contentBytes(CONTENTS);
    expect(none).toBe(PROCESS_BYTES);
    expect(contentBytes({ ...CONTENTS, tokenizerBytes: 1e6 })).toBe(none + 1e7);
    const tokens = contentBytes({ ...CONTENTS, tokens: 1e6, sequences: 4000 });
    expect(tokens).toBeGreaterThan(none + 40e6);
    expect(contentBytes({ ...CONTENTS, tokens: 1e6, sequences: 4000, hasReference: true })).toBeGreaterThan(tokens);
    expect(contentBytes({ ...CONTENTS, tokens: 1e6, sequences: 4000, textBytes: 1e6 })).toBe(tokens);
    expect(contentBytes({ ...CONTENTS, tokens: 1000, textBytes: 1e8 })).toBeGreaterThan(none + 9e8);
  });

  test('is refused below the least, with the limit that would do', async () => {
    const { leastMemoryBytes } = shareMemory([llama(4)], GENEROUS).memory;
    const share = (limitBytes: number) => shareMemory([llama(4)], { ...GENEROUS, limitBytes }).memory;
    requireMemory(share(leastMemoryBytes), true);
    const error = await errorOf(() => requireMemory(share(leastMemoryBytes - 1), true));
    expect(error).toMatchObject({ code: 'RESOURCE_MEMORY_LIMIT', retryable: false });
    const advised = Number(/--memory-limit to (\d+)MiB/.exec(error.whatToDo)?.[1]) * 2 ** 20;
    requireMemory(share(advised), true);
    expect(advised - leastMemoryBytes).toBeLessThan(2 ** 20);
    const free = await errorOf(() => requireMemory(share(leastMemoryBytes - 1), false));
    expect(free).toMatchObject({ code: 'RESOURCE_MEMORY_LIMIT', retryable: true });
    expect(free.whatToDo).toContain('Close other programs');
  });

  test('of two parts one after the other is the larger of both', () => {
    const one = { limitBytes: 9, peakMemoryBytes: 5, leastMemoryBytes: 1 };
    const other = { limitBytes: 9, peakMemoryBytes: 4, leastMemoryBytes: 2 };
    expect(largerMemory(one, other)).toEqual({ limitBytes: 9, peakMemoryBytes: 5, leastMemoryBytes: 2 });
  });
});
