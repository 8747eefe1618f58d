/** Models that the command line must refuse before any long work: by code, exit code and place, with nothing left behind. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';
import { llamaTensors } from '../../helpers/llama-tensors.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { ALPHABET, letters, tokenizerJson } from './evaluation-fixture.ts';

const VOCABULARY = ALPHABET.length;
const SIZES = { layers: 1, hidden: 32, intermediate: 12, keys: 16, vocabulary: VOCABULARY, tied: true };
const CONFIG = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  hidden_size: SIZES.hidden,
  intermediate_size: SIZES.intermediate,
  num_hidden_layers: SIZES.layers,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: VOCABULARY,
  max_position_embeddings: 32,
  tie_word_embeddings: true,
};

let folder = '';
let text = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lathe-bad-models-'));
  text = join(folder, 'text.txt');
  writeFileSync(text, letters(200));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Changes {
  config?: object;
  sizes?: Partial<typeof SIZES>;
  tensors?: (tensors: TensorSpec[]) => TensorSpec[];
  tokenizer?: readonly string[];
  /** Written as they are, over what would be there. */
  files?: Record<string, string>;
}

/** A tiny Llama with one thing changed. */
function writeModel(name: string, { config, sizes, tensors, tokenizer = ALPHABET, files = {} }: Changes): string {
  const model = join(folder, name);
  mkdirSync(model, { recursive: true });
  const specs = llamaTensors({ ...SIZES, ...sizes }).map(({ name: tensor, shape }): TensorSpec => {
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    return { name: tensor, dtype: 'BF16', shape, data: smallWeights(elements) };
  });
  writeFileSync(join(model, 'model.safetensors'), buildSafetensors({ tensors: tensors?.(specs) ?? specs }));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ ...CONFIG, ...config }));
  writeFileSync(join(model, 'tokenizer.json'), tokenizerJson(tokenizer));
  for (const [file, content] of Object.entries(files)) writeFileSync(join(model, file), content);
  return model;
}

/** BF16 of about 0.01, either sign. */
function smallWeights(elements: number): Uint8Array {
  return Uint8Array.from({ length: 2 * elements }, (_, index) => {
    return index % 2 === 0 ? (37 * index) & 255 : index % 3 === 0 ? 0x3c : 0xbc;
  });
}

interface Refusal {
  code: string;
  where: { file?: string; tensor?: string };
  what: string;
}

/** Refused without a token run: nothing stands in the output's place or in LATHE_HOME. */
async function refuse(...args: string[]): Promise<{ exit: number | null; error: Refusal }> {
  const home = join(folder, 'home');
  const tokens = join(folder, 'tokens');
  const asked = ['evaluate', ...args, '--text', text, '--context', '8', '--tokens-out', tokens, '--json'];
  const run = await runLathe(asked, { env: { LATHE_HOME: home } });
  expect([existsSync(home), existsSync(tokens)]).toEqual([false, false]);
  return { exit: run.code, error: run.json<{ error: Refusal }>().error };
}

function without(part: string) {
  return (tensors: TensorSpec[]) => tensors.filter(({ name }) => !name.includes(part));
}

function extra(name: string) {
  return (tensors: TensorSpec[]): TensorSpec[] => [...tensors, { name, dtype: 'BF16', shape: [2] }];
}

const CASES: [what: string, changes: Changes, code: string, tensor: string | null][] = [
  [
    'a config that asks for wider tensors',
    { config: { hidden_size: 64 } },
    'MODEL_SHAPE_MISMATCH',
    'model.embed_tokens.weight',
  ],
  [
    'a config of another MLP',
    { config: { intermediate_size: 13 } },
    'MODEL_SHAPE_MISMATCH',
    'model.layers.0.mlp.gate_proj.weight',
  ],
  [
    'a config of more key heads',
    { config: { num_key_value_heads: 2 } },
    'MODEL_SHAPE_MISMATCH',
    'model.layers.0.self_attn.k_proj.weight',
  ],
  [
    'a config of a larger vocabulary',
    { config: { vocab_size: 99 } },
    'MODEL_SHAPE_MISMATCH',
    'model.embed_tokens.weight',
  ],
  [
    'a config of more blocks',
    { config: { num_hidden_layers: 2 } },
    'MODEL_TENSOR_MISSING',
    'model.layers.1.input_layernorm.weight',
  ],
  [
    'a config of fewer blocks',
    { sizes: { layers: 2 } },
    'MODEL_TENSOR_UNEXPECTED',
    'model.layers.1.input_layernorm.weight',
  ],
  [
    'a missing matrix',
    { tensors: without('down_proj') },
    'MODEL_TENSOR_MISSING',
    'model.layers.0.mlp.down_proj.weight',
  ],
  [
    'a bias that the config does not tell of',
    { tensors: extra('model.layers.0.mlp.up_proj.bias') },
    'MODEL_TENSOR_UNEXPECTED',
    'model.layers.0.mlp.up_proj.bias',
  ],
  [
    'a head that is neither tied nor there',
    { config: { tie_word_embeddings: false } },
    'MODEL_TENSOR_MISSING',
    'lm_head.weight',
  ],
  [
    'weights that are whole numbers',
    { tensors: (all) => all.map((spec) => (spec.name.includes('q_proj') ? { ...spec, dtype: 'I16' } : spec)) },
    'MODEL_DTYPE_UNSUPPORTED',
    'model.layers.0.self_attn.q_proj.weight',
  ],
  ['another architecture', { config: { model_type: 'rwkv' } }, 'MODEL_ARCHITECTURE_UNKNOWN', null],
  ['a config that is no JSON', { files: { 'config.json': '{"a":' } }, 'MODEL_CONFIG_INVALID', null],
  ['a size that is none', { config: { num_hidden_layers: 1e9 } }, 'MODEL_CONFIG_INVALID', null],
  ['a tokenizer that is no JSON', { files: { 'tokenizer.json': 'none' } }, 'TOKENIZER_INVALID', null],
  [
    'a tokenizer that knows more tokens than the embedding',
    { tokenizer: ['?', ...ALPHABET] },
    'MODEL_TOKEN_OUT_OF_VOCABULARY',
    null,
  ],
];

describe('an evaluation refuses', () => {
  test.each(CASES)('%s', async (what, changes, code, tensor) => {
    const model = writeModel(what, changes);
    const { exit, error } = await refuse(model);
    expect(error.code, error.what).toBe(code);
    expect(exit).toBe(3);
    expect(error.where.file?.startsWith(model)).toBe(true);
    if (tensor !== null) expect(error.where.tensor).toBe(tensor);
  });

  test('a reference of another vocabulary, or with tensors that its config does not ask for, by its name', async () => {
    const model = writeModel('model', {});
    const larger = writeModel('larger', {
      sizes: { vocabulary: VOCABULARY + 1 },
      config: { vocab_size: VOCABULARY + 1 },
    });
    const other = await refuse(model, '--reference', larger);
    expect(other).toMatchObject({ exit: 3, error: { code: 'EVALUATE_REFERENCE_DIFFERS', where: { file: larger } } });
    const wrong = writeModel('wrong', { config: { intermediate_size: 13 } });
    const { error } = await refuse(model, '--reference', wrong);
    expect(error).toMatchObject({ code: 'MODEL_SHAPE_MISMATCH', where: { file: wrong } });
  });

  test('nothing of the tiny model that the others are made from', async () => {
    const run = await runLathe(['evaluate', writeModel('model', {}), '--text', text, '--context', '8', '--json']);
    expect(run.code, run.stdout).toBe(0);
    expect(run.json()).toMatchObject({ windows: 25, tokens: 200 });
  });
});
