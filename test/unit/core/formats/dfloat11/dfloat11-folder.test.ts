import { describe, expect, test } from 'vitest';
import { readDfloat11Folder } from '../../../../../core/formats/dfloat11/dfloat11-folder.ts';
import { openModel } from '../../../../../core/model/open-model.ts';
import { buildDfloat11, UNIT, type Dfloat11Spec } from '../../../../helpers/build-dfloat11.ts';
import { buildSafetensors } from '../../../../helpers/build-safetensors.ts';
import { errorOf } from '../../../../helpers/error-of.ts';

async function read(spec: Dfloat11Spec = {}, shapes?: Map<string, number[]>) {
  const files = buildDfloat11(spec);
  const model = await openModel('/m', files);
  if (model.kind !== 'dfloat11') throw new Error(`opened as ${model.kind}`);
  return { ...(await readDfloat11Folder(model, files, shapes)), model, files };
}

const Q = `${UNIT}.self_attn.q_proj.weight`;
const K = `${UNIT}.self_attn.k_proj.weight`;

describe('a sound folder', () => {
  test('gives the logical tensors of its units, with shapes from the config, and what is stored plain', async () => {
    const { units, plain, model } = await read();
    expect(units).toMatchObject([
      {
        module: UNIT,
        elements: 96,
        tensors: [
          { name: Q, dtype: 'BF16', shape: [8, 8], unit: UNIT, firstElement: 0, elements: 64 },
          { name: K, dtype: 'BF16', shape: [4, 8], unit: UNIT, firstElement: 64, elements: 32 },
        ],
      },
    ]);
    expect(plain.map(({ name }) => name)).toEqual(['model.embed_tokens.weight', `${UNIT}.input_layernorm.weight`]);
    expect(model.parameters).toBe(96 + 8 + 256);
  });

  test('gives the place of every coded field', async () => {
    const { units, model } = await read();
    const stored = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
    const { signMantissa, gaps } = units[0]!.fields;
    expect(signMantissa).toEqual({
      path: '/m/model_layers_0.safetensors',
      offsetBytes: stored.get(`${UNIT}.sign_mantissa`)!.offsetBytes,
      sizeBytes: 96,
    });
    expect(gaps.sizeBytes).toBe(320);
  });

  test('may have the fields of a unit in several files', async () => {
    const lut = { name: `${UNIT}.luts`, dtype: 'U8' as const, shape: [2, 256] };
    const { units } = await read({ fields: { luts: null }, more: [lut] });
    expect(units[0]!.fields.luts.path).toBe('/m/model.safetensors');
  });

  test('may lack the last position, and have longer gaps', async () => {
    const fields = { output_positions: { shape: [4] }, gaps: { shape: [330] } };
    expect((await read({ fields })).units).toHaveLength(1);
  });

  test.each(['0.2.0', '0.3.0', '0.3.1', '0.3.2', '0.5.0'])('may be of version %s', async (version) => {
    expect((await read({ dfloat11: { version } })).units).toHaveLength(1);
  });

  test('may have a unit of one tensor, whose list of paths is empty', async () => {
    const pattern_dict = { [`${UNIT.replaceAll('.', '\\.')}`]: [] };
    const shapes = new Map([[`${UNIT}.weight`, [12, 8]]]);
    const { units } = await read({ splitPositions: [], dfloat11: { pattern_dict } }, shapes);
    expect(units[0]!.tensors).toMatchObject([{ name: `${UNIT}.weight`, shape: [12, 8], elements: 96 }]);
  });

  test('takes the shapes that the caller knows, rather than the config’s', async () => {
    const shapes = new Map([
      [Q, [4, 16]],
      [K, [32, 1]],
    ]);
    const { units } = await read({ config: { hidden_size: 7 } }, shapes);
    expect(units[0]!.tensors.map(({ shape }) => shape)).toEqual([
      [4, 16],
      [32, 1],
    ]);
  });

  test('may have a tensor named like a small field outside of all units', async () => {
    const gaps = { name: 'model.rotary.gaps', dtype: 'F32' as const, shape: [4] };
    const { units, plain } = await read({ more: [gaps] });
    expect(units).toHaveLength(1);
    expect(plain.map(({ name }) => name)).toContain('model.rotary.gaps');
  });

  test('reads nothing but headers, config and split positions', async () => {
    const { files } = await read();
    expect(files.reads.filter((path) => path === '/m/model_layers_0.safetensors')).toHaveLength(2);
  });
});

const REFUSED: [title: string, code: string, spec: Dfloat11Spec][] = [
  ...['luts', 'encoded_exponent', 'sign_mantissa', 'output_positions', 'gaps', 'split_positions'].map(
    (field): [string, string, Dfloat11Spec] => [
      `a unit without ${field}`,
      'FORMAT_UNIT_INCOMPLETE',
      { fields: { [field]: null } },
    ],
  ),
  [
    'a unit of which only small fields are left',
    'FORMAT_UNIT_INCOMPLETE',
    { fields: { sign_mantissa: null, encoded_exponent: null } },
  ],
  ['a pattern dictionary without the unit', 'MODEL_CONFIG_INVALID', { dfloat11: { pattern_dict: { lm_head: [] } } }],
  [
    'a config without sizes',
    'MODEL_CONFIG_INVALID',
    { config: { hidden_size: undefined, num_attention_heads: undefined } },
  ],
  ['a config of other sizes', 'FORMAT_SHAPE_MISMATCH', { config: { num_key_value_heads: 2 } }],
  ['a split position more', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [64n, 80n] }],
  ['a split position less', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [] }],
  ['a negative split position', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [-1n] }],
  ['a split position at the beginning', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [0n] }],
  ['a split position at the end', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [96n] }],
  ['a split position past the end', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [97n] }],
  ['a split position of 2^62', 'FORMAT_CODED_DATA_MALFORMED', { splitPositions: [2n ** 62n] }],
  [
    'split positions that go back',
    'FORMAT_CODED_DATA_MALFORMED',
    {
      splitPositions: [64n, 32n],
      dfloat11: { pattern_dict: { '.*': ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] } },
    },
  ],
  ['a tensor in a unit and plain', 'MODEL_DUPLICATE_TENSOR', { more: [{ name: Q, dtype: 'BF16', shape: [8, 8] }] }],
  [
    'a path that stands twice',
    'MODEL_DUPLICATE_TENSOR',
    {
      splitPositions: [48n],
      config: { head_dim: 3 },
      dfloat11: { pattern_dict: { '.*': ['self_attn.q_proj', 'self_attn.q_proj'] } },
    },
  ],
];

describe('refuses', () => {
  test.each(REFUSED)('%s', async (_, code, spec) => {
    expect((await errorOf(() => read(spec))).code).toBe(code);
  });

  test('a field cut short while it was read', async () => {
    const files = buildDfloat11();
    const model = await openModel('/m', files);
    const cut = buildDfloat11({ files: { 'model_layers_0.safetensors': buildSafetensors({}) } });
    if (model.kind !== 'dfloat11') throw new Error('not DFloat11');
    expect((await errorOf(() => readDfloat11Folder(model, cut))).code).toBe('FORMAT_FILE_CUT_SHORT');
  });

  test('a unit’s file alone, without the config', async () => {
    const files = buildDfloat11({ config: { dfloat11_config: undefined } });
    const model = await openModel('/m/model_layers_0.safetensors', files);
    if (model.kind !== 'dfloat11') throw new Error(`opened as ${model.kind}`);
    expect((await errorOf(() => readDfloat11Folder(model, files))).code).toBe('MODEL_CONFIG_INVALID');
  });
});
