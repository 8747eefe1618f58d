import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkUnitFields, type UnitTensors } from '../../core/formats/dfloat11/check-unit-fields.ts';
import { elementsOf } from '../../core/formats/dfloat11/auto-units.ts';
import { planUnits } from '../../core/formats/dfloat11/plan-units.ts';
import { layOutPlainFile, layOutUnitFile, type UnitSizes } from '../../core/formats/dfloat11/unit-file.ts';
import { splitFieldName } from '../../core/formats/dfloat11/unit-fields.ts';
import { parseSafetensorsHeader } from '../../core/formats/safetensors/safetensors-header.ts';
import { placeTensors } from '../helpers/llama-tensors.ts';

/** Tensors of one layer, some of them no matrices or not BF16, and some outside of it. */
const modelTensors = fc
  .uniqueArray(
    fc.record({
      name: fc
        .tuple(
          fc.constantFrom('model.layers.0.', 'model.layers.1.', ''),
          fc.constantFrom('q', 'k', 'mlp.up', 'norm', 'x'),
          fc.constantFrom('.weight', '.bias', '.scale'),
        )
        .map((parts) => parts.join('')),
      dtype: fc.constantFrom('BF16' as const, 'BF16' as const, 'F32' as const, 'U8' as const),
      shape: fc.array(fc.nat(9), { minLength: 0, maxLength: 3 }),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 14 },
  )
  .map(placeTensors);

/** Sizes that a kernel may measure for this many elements; `short` leaves out the last position. */
function sizesOf(elements: number, averageBits: number, lutRows: number, isShort: boolean): UnitSizes {
  const streamBytes = Math.max(1, Math.ceil((elements * averageBits) / 8));
  const blocks = Math.ceil(streamBytes / 4096);
  return { elements, streamBytes, blocks, positionEntries: isShort && blocks > 1 ? blocks : blocks + 1, lutRows };
}

test('the layout of every file of a plan tiles the file, and the fields are such as the reader takes', () => {
  fc.assert(
    fc.property(
      modelTensors,
      fc.double({ min: 1, max: 32, noNaN: true }),
      fc.integer({ min: 2, max: 18 }),
      fc.boolean(),
      (tensors, averageBits, lutRows, isShort) => {
        const plan = planUnits(tensors, { units: 'auto', skip: new Set(), tiedEmbeddings: true });
        const plainFile = layOutPlainFile('model.safetensors', plan.remainder);
        expectTiled(plainFile.header, plainFile.fileSizeBytes, plainFile.plain);
        for (const unit of plan.units) {
          const sizes = sizesOf(elementsOf(unit.tensors), averageBits, lutRows, isShort);
          const layout = layOutUnitFile(unit, sizes, '/out/file');
          const places = [...Object.values(layout.fields), ...layout.plain];
          const stored = expectTiled(layout.header, layout.fileSizeBytes, places);
          expect(stored.metadata).toBeNull();
          const fields = stored.tensors.flatMap((tensor) => {
            const parts = splitFieldName(tensor.name);
            return parts ? [[parts.field, { ...tensor, file: unit.file }] as const] : [];
          });
          const found = Object.fromEntries(fields) as unknown as UnitTensors;
          expect(checkUnitFields(unit.module, found)).toBe(found);
          expect(found.split_positions.offsetBytes).toBe(layout.splitPositions.offsetBytes);
          expect(found.split_positions.sizeBytes).toBe(layout.splitPositions.bytes.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('every tensor is in one file of the plan, once', () => {
  fc.assert(
    fc.property(modelTensors, (tensors) => {
      const { units, remainder } = planUnits(tensors, { units: 'auto', skip: new Set(), tiedEmbeddings: true });
      const placed = [...remainder, ...units.flatMap((unit) => [...unit.tensors, ...unit.companions])];
      expect(placed.map(({ name }) => name).sort()).toEqual(tensors.map(({ name }) => name).sort());
    }),
    { numRuns: 500 },
  );
});

/** The header describes a file of this size to the last byte (the parser demands it), and holds every place. */
function expectTiled(header: Uint8Array, fileSizeBytes: number, places: readonly { offsetBytes: number }[]) {
  const parsed = parseSafetensorsHeader(header.subarray(8), { file: 'x', fileSizeBytes });
  const begins = new Set(parsed.tensors.map(({ offsetBytes }) => offsetBytes));
  for (const { offsetBytes } of places) expect(begins.has(offsetBytes)).toBe(true);
  return parsed;
}
