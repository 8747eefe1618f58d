import { describe, expect, test } from 'vitest';
import { layOutPlainFile, layOutUnitFile, splitPositionBytes } from '../../../../../core/formats/dfloat11/unit-file.ts';
import { planUnits } from '../../../../../core/formats/dfloat11/plan-units.ts';
import { llamaTensors } from '../../../../helpers/llama-tensors.ts';
import { OFFICIAL_HEADERS, OFFICIAL_SIZES } from '../../../../helpers/official-dfloat11.ts';

const SAMPLE = { layers: 8, hidden: 256, intermediate: 704, keys: 128, vocabulary: 4096, tied: true };
const PLAN = planUnits(llamaTensors(SAMPLE), { units: 'auto', skip: new Set(), tiedEmbeddings: true });

function textOf(header: Uint8Array): string {
  return new TextDecoder().decode(header.subarray(8));
}

describe('the file of a unit', () => {
  test.each([0, 1])('of layer %i has the official header', (layer) => {
    const unit = PLAN.units[layer]!;
    const sizes = OFFICIAL_SIZES[unit.module as keyof typeof OFFICIAL_SIZES];
    const layout = layOutUnitFile(unit, sizes, '/out/x');
    expect(layout.file).toBe(`model_layers_${layer}.safetensors`);
    expect(textOf(layout.header)).toBe(OFFICIAL_HEADERS[layout.file as keyof typeof OFFICIAL_HEADERS]);
    const entry = JSON.parse(textOf(layout.header)) as Record<string, { data_offsets: [number, number] }>;
    const placeOf = (name: string) => {
      const [begin, end] = entry[name]!.data_offsets;
      return { offsetBytes: layout.header.length + begin, sizeBytes: end - begin };
    };
    expect(layout.fields).toEqual({
      luts: { path: '/out/x', ...placeOf(`${unit.module}.luts`) },
      encodedExponent: { path: '/out/x', ...placeOf(`${unit.module}.encoded_exponent`) },
      signMantissa: { path: '/out/x', ...placeOf(`${unit.module}.sign_mantissa`) },
      outputPositions: { path: '/out/x', ...placeOf(`${unit.module}.output_positions`) },
      gaps: { path: '/out/x', ...placeOf(`${unit.module}.gaps`) },
    });
    expect(layout.splitPositions.offsetBytes).toBe(placeOf(`${unit.module}.split_positions`).offsetBytes);
    expect(layout.plain.map(({ tensor, offsetBytes }) => [tensor.name, offsetBytes])).toEqual(
      ['input_layernorm', 'post_attention_layernorm'].map((path) => {
        const name = `${unit.module}.${path}.weight`;
        return [name, placeOf(name).offsetBytes];
      }),
    );
  });

  test('of one tensor has an empty list of split positions', () => {
    const tensors = llamaTensors({ ...SAMPLE, layers: 0, tied: false });
    const plan = planUnits(tensors, { units: 'auto', skip: new Set(), tiedEmbeddings: false });
    const sizes = { elements: 4096 * 256, streamBytes: 400_000, blocks: 98, positionEntries: 99, lutRows: 3 };
    const layout = layOutUnitFile(plan.units[0]!, sizes, 'x');
    expect(layout.splitPositions.bytes).toHaveLength(0);
    expect(textOf(layout.header)).toContain(
      '"lm_head.split_positions":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}',
    );
  });
});

test('the file of what is left over has the official header', () => {
  const layout = layOutPlainFile('model.safetensors', PLAN.remainder);
  expect(textOf(layout.header)).toBe(OFFICIAL_HEADERS['model.safetensors']);
  expect(layout.fileSizeBytes).toBe(layout.header.length + 2 * (4096 * 256 + 256));
});

test('the file of nothing is a header alone', () => {
  expect(textOf(layOutPlainFile('model.safetensors', []).header)).toBe('{"__metadata__":{"format":"pt"}}');
});

test.each<[number[], bigint[]]>([
  [[5], []],
  [
    [5, 6, 7],
    [5n, 11n],
  ],
  [
    [2 ** 31, 2 ** 31, 1],
    [2n ** 31n, 2n ** 32n],
  ],
])('split positions of %j are the sums without the last', (elements, expected) => {
  const bytes = splitPositionBytes(elements);
  expect([...new BigInt64Array(bytes.buffer)]).toEqual(expected);
});
