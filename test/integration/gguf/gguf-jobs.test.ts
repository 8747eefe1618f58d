import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../core/model/model-config.ts';
import { readTokenizer } from '../../../core/tokenizer/read-tokenizer.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { buildGguf, floatBytes, type GgufSpec, type GgufTensorSpec } from '../../helpers/build-gguf.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { SAMPLE_MODEL, readSampleJson, safetensorsWeights, sampleGguf, sha256 } from '../../helpers/sample-gguf.ts';
import { useWorkplace } from '../engine/engine-fixture.ts';

const place = useWorkplace();
const TEXT = 'The tokenizer splits a text into words, 12 345 of them: größe, naïve.\n\n';
const KEYS: NonNullable<GgufSpec['metadata']> = [
  ['general.architecture', 'string', 'llama'],
  ['llama.context_length', 'u32', 32],
  ['llama.embedding_length', 'u32', 4],
  ['llama.block_count', 'u32', 1],
  ['llama.feed_forward_length', 'u32', 4],
  ['llama.attention.head_count', 'u32', 1],
  ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
];

function write(name: string, bytes: Uint8Array): string {
  return join(place().write('.', { [name]: bytes }), name);
}

function matrix(name: string, weights: number[] = [1, 2, 3, 4]): GgufTensorSpec {
  return { name, type: 0, shape: [weights.length / 4, 4], data: floatBytes(weights) };
}

/** A GGUF file of one layer's worth of keys and these tensors. */
function small(tensors: GgufTensorSpec[], metadata: NonNullable<GgufSpec['metadata']> = []): string {
  return write('small.gguf', buildGguf({ metadata: [...KEYS, ...metadata], tensors }));
}

function original(): Uint8Array {
  return readFileSync(join(SAMPLE_MODEL, 'model.safetensors'));
}

describe('the sample model as a BF16 GGUF file', () => {
  it('is inspected under its own names and shapes, with the names and the class that Hugging Face has', async () => {
    const model = write('sample.gguf', await sampleGguf('BF16'));
    const { tensors, ...result } = await place().engine.inspect({ ...place().options(), model, statistics: true });
    expect(result).toMatchObject({
      format: 'gguf',
      architecture: 'LlamaForCausalLM',
      parameters: 6_951_168,
      notes: [],
    });
    expect(tensors).toHaveLength(74);
    const down = tensors.find(({ name }) => name === 'blk.3.ffn_down.weight');
    expect(down).toMatchObject({
      canonicalName: 'model.layers.3.mlp.down_proj.weight',
      dtype: 'BF16',
      shape: [256, 704],
      storedBytes: 2 * 256 * 704,
      bitsPerWeight: 16,
      method: 'plain',
      nanCount: 0,
    });
    const source = await place().engine.inspect({ ...place().options(), model: SAMPLE_MODEL, statistics: true });
    for (const { canonicalName, min, max, rms, zeroFraction } of tensors) {
      const expected = source.tensors.find(({ name }) => name === canonicalName);
      expect({ min, max, zeroFraction }).toEqual({
        min: expected?.min,
        max: expected?.max,
        zeroFraction: expected?.zeroFraction,
      });
      expect(rms).toBeCloseTo(expected?.rms ?? NaN, 12);
    }
  });

  it('is restored to the very bytes of its safetensors file, at any thread count', async () => {
    const model = write('sample.gguf', await sampleGguf('BF16'));
    for (const threads of [1, 3]) {
      const output = place().at(`restored-${threads}`);
      const result = await place().restore(model, output, { threads });
      expect(result).toMatchObject({ lossless: true, filesIdentical: false });
      expect(result.rounding).toEqual({ dtype: 'BF16', maxAbsError: 0, relativeError: 0 });
      expect(result.files.map(({ name }) => name)).toEqual([
        'config.json',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
      ]);
      expect(readFileSync(join(output, 'model.safetensors')).equals(original())).toBe(true);
      for (const { name, sha256: found } of result.files) expect(sha256(readFileSync(join(output, name)))).toBe(found);
    }
  });

  it('brings a config that says what the original says, and a tokenizer that gives its ids', async () => {
    const output = place().at('restored');
    await place().restore(write('sample.gguf', await sampleGguf('BF16')), output);
    const config = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8')) as JsonObject;
    const expected = readSampleJson<JsonObject>('config.json');
    for (const key of [
      'architectures',
      'model_type',
      'hidden_size',
      'intermediate_size',
      'num_hidden_layers',
      'num_attention_heads',
      'num_key_value_heads',
      'max_position_embeddings',
      'rms_norm_eps',
      'vocab_size',
      'tie_word_embeddings',
    ]) {
      expect(config[key], key).toEqual(expected[key]);
    }
    const tokenizer = await readTokenizer(output, nodeFileAccess);
    expect(tokenizer.encode(TEXT)).toEqual((await readTokenizer(SAMPLE_MODEL, nodeFileAccess)).encode(TEXT));
  });

  it('cannot be compressed, and says what to do first', async () => {
    const model = write('sample.gguf', await sampleGguf('BF16'));
    const error = await errorOf(() => place().compress(model, place().at('coded'), 'dfloat11'));
    expect(error).toMatchObject({ code: 'MODEL_ALREADY_COMPRESSED', where: { file: model } });
    expect(error.whatToDo).toContain('lathe restore');
    expect(existsSync(place().at('coded'))).toBe(false);
  });

  it('is verified as far as the format allows', async () => {
    const model = write('sample.gguf', await sampleGguf('BF16'));
    const { ok, format, tensors, files, notes } = await place().verify(model);
    expect({ ok, format, tensors: tensors.length }).toEqual({ ok: true, format: 'gguf', tensors: 74 });
    expect(tensors.every(({ ok: isSound, bitExact }) => isSound && bitExact === null)).toBe(true);
    expect(files).toEqual([
      { name: 'sample.gguf', bytes: readFileSync(model).length, sha256: sha256(readFileSync(model)), ok: null },
    ]);
    expect(notes.join(' ')).toContain('no checksums');
  });
});

describe('verified against the model that it was made from, a GGUF file', () => {
  it('is exact where it is plain', async () => {
    const verified = await place().verify(write('sample.gguf', await sampleGguf('BF16')), SAMPLE_MODEL);
    expect(verified).toMatchObject({ ok: true, against: SAMPLE_MODEL });
    expect(verified.tensors).toHaveLength(74);
    for (const tensor of verified.tensors) {
      expect(tensor).toMatchObject({ ok: true, bitExact: true, maxAbsError: 0, relativeError: 0 });
    }
  });

  it('is as far off as its blocks are, tensor by tensor', async () => {
    const { ok, tensors } = await place().verify(write('sample.gguf', await sampleGguf('Q8_0')), SAMPLE_MODEL);
    expect(ok).toBe(true);
    for (const { name, bitExact, maxAbsError, relativeError } of tensors) {
      if (name.endsWith('norm.weight')) expect({ bitExact, maxAbsError }).toEqual({ bitExact: true, maxAbsError: 0 });
      else {
        // A step is the greatest of 32 magnitudes by 127; uniform errors are its root of 1/12.
        expect(relativeError, name).toBeGreaterThan(0.002);
        expect(relativeError, name).toBeLessThan(0.012);
      }
    }
  });

  it('of another model fails, tensor by tensor, and names what is missing', async () => {
    const tensors = [matrix('token_embd.weight'), matrix('output_norm.weight')];
    const verified = await place().verify(small(tensors), SAMPLE_MODEL);
    expect(verified).toMatchObject({ ok: false, error: { code: 'VERIFY_FAILED' } });
    expect(verified.tensors.map(({ ok }) => ok)).toEqual([false, false]);
  });
});

describe('the sample model as an F32 GGUF file', () => {
  it('stays F32, or becomes the original in BF16, bit for bit', async () => {
    const model = write('sample.gguf', await sampleGguf('F32'));
    const plain = await place().restore(model, place().at('f32'));
    expect(plain).toMatchObject({ lossless: true, rounding: { dtype: 'F32' } });
    const weights = safetensorsWeights(join(place().at('f32'), 'model.safetensors'));
    const expected = safetensorsWeights(join(SAMPLE_MODEL, 'model.safetensors'));
    expect([...weights.names].sort()).toEqual([...expected.names].sort());
    for (const name of expected.names) {
      const count = expected.shapeOf(name)!.reduce((product, dim) => product * dim, 1);
      const [a, b] = [new Float32Array(count), new Float32Array(count)];
      await weights.read(name, a);
      await expected.read(name, b);
      expect(Buffer.from(a.buffer).equals(Buffer.from(b.buffer)), name).toBe(true);
    }
    await place().restore(model, place().at('bf16'), { dtype: 'bf16', maxShardBytes: null });
    expect(readFileSync(join(place().at('bf16'), 'model.safetensors')).equals(original())).toBe(true);
  });
});

describe('the sample model as a Q8_0 GGUF file', () => {
  it('is restored to BF16 within half a step of each block, and says how far rounding took it', async () => {
    const model = write('sample.gguf', await sampleGguf('Q8_0'));
    const result = await place().restore(model, place().at('restored'), { threads: 2, maxShardBytes: 4 << 20 });
    expect(result).toMatchObject({ lossless: false, filesIdentical: false, rounding: { dtype: 'BF16' } });
    expect(result.rounding?.relativeError).toBeGreaterThan(1e-4);
    expect(result.rounding?.relativeError).toBeLessThan(2 ** -8);
    expect(result.notes.join(' ')).toContain('relative to their root mean square');
    const shards = readdirSync(place().at('restored')).filter((name) => name.endsWith('.safetensors'));
    expect(shards.length).toBeGreaterThan(2);
    const index = JSON.parse(readFileSync(join(place().at('restored'), 'model.safetensors.index.json'), 'utf8')) as {
      weight_map: Record<string, string>;
    };
    const expected = safetensorsWeights(join(SAMPLE_MODEL, 'model.safetensors'));
    expect(Object.keys(index.weight_map).sort()).toEqual([...expected.names].sort());
    for (const name of expected.names) {
      const shape = expected.shapeOf(name)!;
      const count = shape.reduce((product, dim) => product * dim, 1);
      const [found, wanted] = [new Float32Array(count), new Float32Array(count)];
      const shard = safetensorsWeights(join(place().at('restored'), index.weight_map[name]!));
      expect(shard.shapeOf(name)).toEqual(shape);
      await shard.read(name, found);
      await expected.read(name, wanted);
      const isQuantized = shape.length > 1;
      let excess = -Infinity;
      for (let start = 0; start < count; start += 32) {
        const block = wanted.subarray(start, start + 32);
        const largest = block.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
        // Half a step of 1/127, the scale's half rounded (by 2^-11, or 2^-25 where it is subnormal), and BF16's rounding
        // (2^-8) of it all.
        const bound = isQuantized ? largest * (0.5 / 127 + 2 ** -11 + 1.02 * 2 ** -8) + 127 * 2 ** -25 : 0;
        const error = block.reduce((most, weight, i) => Math.max(most, Math.abs(weight - found[start + i]!)), 0);
        excess = Math.max(excess, error - bound);
      }
      expect(excess, name).toBeLessThanOrEqual(0);
    }
    // Matrices are quantized, norms are not.
    const inspected = await place().engine.inspect({ ...place().options(), model, statistics: false });
    expect(inspected.tensors.find(({ name }) => name === 'blk.0.ffn_up.weight')).toMatchObject({
      dtype: 'Q8_0',
      method: 'ggml',
      bitsPerWeight: 8.5,
    });
  });
});

describe('a GGUF file that cannot become a Hugging Face model', () => {
  it('of an unknown architecture is inspected, and named when it is restored', async () => {
    const model = write(
      'rwkv.gguf',
      buildGguf({ metadata: [['general.architecture', 'string', 'rwkv7']], tensors: [matrix('blk.0.att.weight')] }),
    );
    const inspected = await place().engine.inspect({ ...place().options(), model, statistics: true });
    expect(inspected).toMatchObject({ architecture: 'rwkv7', parameters: 4 });
    expect(inspected.tensors[0]).toMatchObject({ canonicalName: 'blk.0.att.weight', min: 1, max: 4 });
    expect(inspected.notes.join(' ')).toContain('"rwkv7"');
    const error = await errorOf(() => place().restore(model, place().at('restored')));
    expect(error.code).toBe('MODEL_ARCHITECTURE_UNKNOWN');
    expect(error.what).toContain('"rwkv7"');
    expect(existsSync(place().at('restored'))).toBe(false);
  });

  it('of a mixture of experts is named as one', async () => {
    const model = small([matrix('token_embd.weight')], [['llama.expert_count', 'u32', 8]]);
    expect((await errorOf(() => place().restore(model, place().at('out')))).what).toContain('mixture of experts');
  });

  it('with a type that is not decoded names tensor and type, and can be inspected', async () => {
    const blocks: GgufTensorSpec = {
      name: 'blk.0.ffn_up.weight',
      type: 21,
      shape: [1, 256],
      data: new Uint8Array(110),
    };
    const model = small([matrix('token_embd.weight'), blocks]);
    const inspected = await place().engine.inspect({ ...place().options(), model, statistics: true });
    expect(inspected.tensors[1]).toMatchObject({ dtype: 'IQ3_S', bitsPerWeight: 3.4375, method: 'ggml' });
    expect(inspected.tensors[1]).not.toHaveProperty('min');
    const error = await errorOf(() => place().restore(model, place().at('out')));
    expect(error).toMatchObject({ code: 'MODEL_DTYPE_UNSUPPORTED', where: { tensor: 'blk.0.ffn_up.weight' } });
    expect(error.what).toContain('IQ3_S');
    const { ok, tensors, notes } = await place().verify(model);
    expect({ ok, tensors: tensors.length }).toEqual({ ok: true, tensors: 1 });
    expect(notes.join(' ')).toContain('IQ3_S');
  });

  it('with a tensor that no such model has names it', async () => {
    const error = await errorOf(() =>
      place().restore(small([matrix('token_embd.weight'), matrix('blk.0.ssm_in.weight')]), place().at('out')),
    );
    expect(error).toMatchObject({ code: 'MODEL_TENSOR_UNEXPECTED', where: { tensor: 'blk.0.ssm_in.weight' } });
  });

  it.each([
    ['NaN', NaN],
    ['an infinity', -Infinity],
  ])('with %s among its weights names the tensor, and leaves nothing behind', async (_, weight) => {
    const model = small([matrix('token_embd.weight'), matrix('output.weight', [1, weight, 3, 4])]);
    const error = await errorOf(() => place().restore(model, place().at('out')));
    expect(error).toMatchObject({ code: 'NUMERICS_NOT_FINITE', where: { tensor: 'lm_head.weight' } });
    expect(readdirSync(place().folder).filter((name) => name.startsWith('out'))).toEqual([]);
    const verified = await place().verify(model);
    expect(verified).toMatchObject({ ok: false, error: { code: 'NUMERICS_NOT_FINITE' } });
    expect(verified.tensors.map(({ name, ok }) => [name, ok])).toEqual([
      ['token_embd.weight', true],
      ['output.weight', false],
    ]);
  });

  it('with weights beyond half precision is not restored to it', async () => {
    const model = small([matrix('token_embd.weight', [1, 2, 3, 70_000])]);
    const error = await errorOf(() => place().restore(model, place().at('out'), { dtype: 'f16' }));
    expect(error).toMatchObject({ code: 'USAGE_INVALID_ARGUMENT', where: { tensor: 'model.embed_tokens.weight' } });
    expect(await place().restore(model, place().at('out'), { dtype: 'bf16' })).toMatchObject({ lossless: false });
  });
});

describe('a GGUF file whose tokenizer is not known', () => {
  it.each<[string, NonNullable<GgufSpec['metadata']>, string]>([
    ['has none', [], 'holds no tokenizer'],
    ['has another kind', [['tokenizer.ggml.model', 'string', 'bert']], '"bert"'],
    [
      'splits words in an unknown way',
      [
        ['tokenizer.ggml.model', 'string', 'gpt2'],
        ['tokenizer.ggml.pre', 'string', 'viking'],
        ['tokenizer.ggml.tokens', 'array', { of: 'string', items: ['a', 'b'] }],
        ['tokenizer.ggml.merges', 'array', { of: 'string', items: ['a b'] }],
      ],
      '"viking"',
    ],
  ])('that %s is restored without it, and a note says why', async (_, metadata, reason) => {
    const result = await place().restore(small([matrix('token_embd.weight')], metadata), place().at('out'));
    expect(result.files.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors']);
    expect(result.notes.join(' ')).toContain(reason);
  });
});

it('one part of a split file is refused with the way to join them', async () => {
  const model = small(
    [matrix('token_embd.weight')],
    [
      ['split.count', 'u16', 3],
      ['split.no', 'u16', 0],
    ],
  );
  const error = await errorOf(() => place().engine.inspect({ ...place().options(), model, statistics: false }));
  expect(error).toMatchObject({ code: 'MODEL_UNKNOWN_KIND' });
  expect(error.what).toContain('part 1');
  expect(error.whatToDo).toContain('--merge');
});
