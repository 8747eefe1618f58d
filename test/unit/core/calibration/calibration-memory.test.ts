import { expect, test } from 'vitest';
import { calibrationBytes, gramBytesOf } from '../../../../core/calibration/calibration-memory.ts';
import { describeDecoder } from '../../../../core/model/architectures/describe-decoder.ts';

/** Three inputs of 256 columns a block, and one of 512. */
const CONFIG = {
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 3,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 1024,
  max_position_embeddings: 512,
  tie_word_embeddings: true,
};
const decoder = describeDecoder(CONFIG, new Set());
const PAIRS = 3 * 256 * 256 + 512 * 512;

test('Gram matrices take 8 bytes for each pair of columns of one block, and 4 where they are kept', () => {
  const shape = { windows: 8, length: 128 };
  const more = calibrationBytes(decoder, { ...shape, withGram: true });
  expect(more - calibrationBytes(decoder, { ...shape, withGram: false })).toBe(8 * PAIRS);
  const ofBlock = [256, 256, 256, 512].map((columns) => 4 * columns * columns);
  expect(gramBytesOf(decoder)).toEqual([ofBlock, ofBlock, ofBlock]);
});

test('the inputs that are heard in one run are counted twice: where they are heard, and as the runtime copies them', () => {
  const bytesOf = (windows: number, length: number) => calibrationBytes(decoder, { windows, length, withGram: false });
  // Runs of 1,024 and of 2,048 rows over as many tokens in all.
  const columns = 3 * 256 + 512;
  expect(bytesOf(2, 2048) - bytesOf(4, 1024)).toBe(2 * 4 * 1024 * columns);
  expect(bytesOf(4, 256)).toBeGreaterThan(4 * 4 * 256 * 256 + 2 * 4 * 1024 * columns);
});
