import { expect, test } from 'vitest';
import { readGgufHeader } from '../../core/formats/gguf/gguf-header.ts';
import { readGgufArray } from '../../core/formats/gguf/gguf-metadata.ts';
import { WorkbenchError } from '../../core/errors.ts';
import { openModel } from '../../core/model/open-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import { buildGguf, floatBytes, type GgufSpec, type GgufValueSpec } from '../helpers/build-gguf.ts';
import { mutateBytes } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';
import { runFuzz, showBytes } from '../helpers/run-fuzz.ts';

type Entry = [string | Uint8Array, ...GgufValueSpec];

const KEYS: Entry[] = [
  ['general.architecture', 'string', 'llama'],
  ['llama.context_length', 'u32', 32],
  ['llama.embedding_length', 'u32', 4],
  ['llama.block_count', 'u32', 1],
  ['llama.feed_forward_length', 'u32', 32],
  ['llama.attention.head_count', 'u32', 1],
  ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
  ['llama.rope.scaling.type', 'string', 'yarn'],
  ['llama.rope.scaling.factor', 'f32', 4],
  ['tokenizer.ggml.model', 'string', 'gpt2'],
  ['tokenizer.ggml.pre', 'string', 'gpt-2'],
  ['tokenizer.ggml.tokens', 'array', { of: 'string', items: ['a', 'b', 'ab', '<s>'] }],
  ['tokenizer.ggml.token_type', 'array', { of: 'i32', items: [1, 1, 1, 3] }],
  ['tokenizer.ggml.merges', 'array', { of: 'string', items: ['a b'] }],
  ['tokenizer.ggml.bos_token_id', 'u32', 3],
  ['tokenizer.ggml.add_bos_token', 'bool', true],
  [
    'other',
    'array',
    {
      of: 'array',
      items: [
        { of: 'f64', items: [1] },
        { of: 'string', items: ['x'] },
      ],
    },
  ],
  ['big', 'u64', 2n ** 60n],
];
const SPEC: GgufSpec = {
  metadata: KEYS,
  tensors: [
    { name: 'token_embd.weight', type: 0, shape: [4, 4], data: floatBytes(Array.from({ length: 16 }, (_, i) => i)) },
    { name: 'blk.0.attn_q.weight', type: 0, shape: [4, 4], data: floatBytes(new Array<number>(16).fill(1)) },
    { name: 'blk.0.ffn_down.weight', type: 8, shape: [4, 32], data: new Uint8Array(4 * 34) },
    { name: 'rope_freqs.weight', type: 0, shape: [2], data: floatBytes([1, 8]) },
  ],
};
const SOUND = buildGguf(SPEC);

/** Other keys, other types, other counts, in a file that is well put together. */
function makeFile(random: FuzzRandom): Uint8Array {
  if (random.once(2)) return mutateBytes(random, SOUND);
  const metadata = KEYS.filter(() => !random.once(10)).map((entry): Entry => {
    return random.once(8) ? ([entry[0], ...random.of(KEYS).slice(1)] as Entry) : entry;
  });
  const spec = { ...SPEC, metadata, ...(random.once(4) ? { tensorCount: BigInt(random.below(6)) } : {}) };
  const file = buildGguf(spec);
  return random.once(3) ? mutateBytes(random, file) : file;
}

/** A sound header's tensors lie in the file, one after the other; what follows from it may be refused, but with a code. */
async function readFile(bytes: Uint8Array): Promise<void> {
  const files = new MemoryFiles({ '/m/m.gguf': bytes });
  const file = { path: '/m/m.gguf', file: 'm.gguf', sizeBytes: bytes.length };
  const { tensors, dataStart, metadata } = await readGgufHeader(file, files);
  let end = dataStart;
  for (const { offsetBytes, sizeBytes } of tensors) {
    expect(offsetBytes).toBeGreaterThanOrEqual(end);
    end = offsetBytes + sizeBytes;
    expect(end).toBeLessThanOrEqual(bytes.length);
  }
  expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
  const refused = (error: unknown) => {
    if (!(error instanceof WorkbenchError) || error.code.startsWith('BUG_')) throw error;
  };
  for (const { value } of metadata.values()) {
    if (typeof value === 'object') await readGgufArray(file, value, files).catch(refused);
  }
  const model = await openModel('/m/m.gguf', files);
  if (model.kind === 'gguf') await readGgufTokenizer(model, files).catch(refused);
}

test('GGUF headers', async () => {
  const { outcomes } = await runFuzz(makeFile, readFile, showBytes);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
