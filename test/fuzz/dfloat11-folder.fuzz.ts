import { expect, test } from 'vitest';
import { readDfloat11Folder } from '../../core/formats/dfloat11/dfloat11-folder.ts';
import { compileModulePattern } from '../../core/formats/dfloat11/module-pattern.ts';
import { openModel } from '../../core/model/open-model.ts';
import { buildDfloat11, DFLOAT11_CONFIG, type Dfloat11Spec } from '../helpers/build-dfloat11.ts';
import type { TensorSpec } from '../helpers/build-safetensors.ts';
import { mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz } from '../helpers/run-fuzz.ts';

const FIELDS = ['luts', 'encoded_exponent', 'sign_mantissa', 'output_positions', 'gaps', 'split_positions'];
const PATTERN_PARTS = [
  'model',
  '\\.',
  '.',
  'layers',
  '\\d',
  '\\d+',
  '+',
  '*',
  '?',
  '(',
  '(?:',
  ')',
  '|',
  '[0-9]',
  '[',
  ']',
  '0',
];
const POSITIONS = [0n, 1n, 63n, 64n, 65n, 95n, 96n, 97n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];

function makePattern(random: FuzzRandom): string {
  return Array.from({ length: random.below(12) }, () => random.of(PATTERN_PARTS)).join('');
}

function makeFolder(random: FuzzRandom): Dfloat11Spec {
  const spec: Dfloat11Spec = {};
  if (random.once(2)) spec.dfloat11 = mutateValue(random, DFLOAT11_CONFIG.dfloat11_config) as Record<string, unknown>;
  if (random.once(3))
    spec.dfloat11 = { pattern_dict: { [makePattern(random)]: ['self_attn.q_proj', 'self_attn.k_proj'] } };
  if (random.once(2)) spec.config = mutateValue(random, DFLOAT11_CONFIG) as Record<string, unknown>;
  if (random.once(2)) spec.fields = { [random.of(FIELDS)]: makeField(random) };
  if (random.once(3)) spec.splitPositions = Array.from({ length: random.below(4) }, () => random.of(POSITIONS));
  if (random.once(4)) {
    const name = `model.layers.${random.below(3)}.${random.of([...FIELDS, 'self_attn.q_proj.weight'])}`;
    spec.more = [{ name, dtype: 'U8', shape: [random.below(600)] }];
  }
  return spec;
}

function makeField(random: FuzzRandom): Partial<TensorSpec> | null {
  if (random.once(4)) return null;
  const shape = Array.from({ length: random.below(4) }, () => random.of([0, 1, 2, 18, 19, 255, 256, 320, 4096, 4097]));
  const elements = shape.reduce((product, dim) => product * dim, 1);
  return { dtype: random.of(['U8', 'U8', 'I8', 'I64', 'BF16']), shape: elements > 100_000 ? [elements % 5000] : shape };
}

async function readFolder(spec: Dfloat11Spec): Promise<void> {
  for (const pattern of Object.keys(spec.dfloat11?.['pattern_dict'] ?? {})) {
    const compiled = compileModulePattern(pattern);
    if ('problem' in compiled) expect(compiled.problem).not.toBe('');
  }
  const files = buildDfloat11(spec);
  const model = await openModel('/m', files);
  if (model.kind !== 'dfloat11') return;
  const { units, plain } = await readDfloat11Folder(model, files);
  for (const { elements, tensors } of units) {
    expect(tensors.reduce((sum, tensor) => sum + tensor.elements, 0)).toBe(elements);
    for (const tensor of tensors) {
      expect(tensor.shape.reduce((product, dim) => product * dim, 1)).toBe(tensor.elements);
    }
  }
  const names = [...plain.map(({ name }) => name), ...units.flatMap(({ tensors }) => tensors.map(({ name }) => name))];
  expect(new Set(names).size).toBe(names.length);
}

function show(spec: Dfloat11Spec): string {
  return JSON.stringify(spec, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).slice(
    0,
    8000,
  );
}

test('DFloat11 folders', async () => {
  const { outcomes } = await runFuzz(makeFolder, readFolder, show);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
