import type { Dfloat11Fields, Dfloat11Plan } from '../../kernels/kernels.ts';
import type { ModelTensor } from '../../model/open-model.ts';
import type { SafetensorsTensor } from '../safetensors/safetensors-header.ts';
import { buildSafetensorsHeader, sortForWriting, type TensorToWrite } from '../safetensors/safetensors-writer.ts';
import { elementsOf } from './auto-units.ts';
import type { PlannedUnit } from './plan-units.ts';
import type { UnitField } from './unit-fields.ts';

/** 512 windows of 5 bits for each block of 4096 stream bytes. */
export const GAP_BYTES_PER_BLOCK = 320;
const LUT_ROW_BYTES = 256;

/** A plain tensor and where its bytes go. */
export interface PlainPlacement {
  tensor: ModelTensor;
  offsetBytes: number;
}

export interface PlainFileLayout {
  /** Name within the output folder. */
  file: string;
  /** The file's first bytes. */
  header: Uint8Array;
  fileSizeBytes: number;
  plain: PlainPlacement[];
}

export interface UnitFileLayout extends PlainFileLayout {
  fields: Dfloat11Fields;
  /** Where the unit's segments end, but for the last; the file's only field that is known before coding. */
  splitPositions: { offsetBytes: number; bytes: Uint8Array };
}

/** The measured sizes of a unit; `Dfloat11Plan` has them. */
export type UnitSizes = Pick<Dfloat11Plan, 'elements' | 'streamBytes' | 'blocks' | 'positionEntries' | 'lutRows'>;

/**
 * Lays out the file of one unit, as the official package writes it in directory mode.
 *
 * Source: DFloat11 0.5.0, `compress_model(save_single_file=False)`: the unit's fields and the module's other tensors,
 * sorted by dtype and name, no metadata.
 * @param path where the file will be written; the fields' ranges carry it
 */
export function layOutUnitFile(unit: PlannedUnit, sizes: UnitSizes, path: string): UnitFileLayout {
  const fieldShapes: Record<UnitField, number[]> = {
    luts: [sizes.lutRows, LUT_ROW_BYTES],
    encoded_exponent: [sizes.streamBytes],
    sign_mantissa: [sizes.elements],
    output_positions: [4 * sizes.positionEntries],
    gaps: [GAP_BYTES_PER_BLOCK * sizes.blocks],
    split_positions: [unit.tensors.length - 1],
  };
  const fields = Object.entries(fieldShapes).map(([field, shape]): TensorToWrite => {
    return { name: `${unit.module}.${field}`, dtype: field === 'split_positions' ? 'I64' : 'U8', shape };
  });
  const layout = buildSafetensorsHeader(sortForWriting([...fields, ...unit.companions]), null);
  const byName = new Map(layout.tensors.map((tensor) => [tensor.name, tensor]));
  const rangeOf = (field: UnitField) => {
    const { offsetBytes, sizeBytes } = placeOf(byName, `${unit.module}.${field}`);
    return { path, offsetBytes, sizeBytes };
  };
  return {
    file: unit.file,
    header: layout.header,
    fileSizeBytes: layout.fileSizeBytes,
    plain: unit.companions.map((tensor) => ({ tensor, offsetBytes: placeOf(byName, tensor.name).offsetBytes })),
    fields: {
      luts: rangeOf('luts'),
      encodedExponent: rangeOf('encoded_exponent'),
      signMantissa: rangeOf('sign_mantissa'),
      outputPositions: rangeOf('output_positions'),
      gaps: rangeOf('gaps'),
    },
    splitPositions: {
      offsetBytes: rangeOf('split_positions').offsetBytes,
      bytes: splitPositionBytes(unit.tensors.map((tensor) => elementsOf([tensor]))),
    },
  };
}

/** Lays out the file of the tensors that belong to no unit, as the official package does: with `{"format":"pt"}`. */
export function layOutPlainFile(file: string, tensors: readonly ModelTensor[]): PlainFileLayout {
  const layout = buildSafetensorsHeader(sortForWriting(tensors), { format: 'pt' });
  const byName = new Map(layout.tensors.map((tensor) => [tensor.name, tensor]));
  return {
    file,
    header: layout.header,
    fileSizeBytes: layout.fileSizeBytes,
    plain: tensors.map((tensor) => ({ tensor, offsetBytes: placeOf(byName, tensor.name).offsetBytes })),
  };
}

/** `split_positions`: the sums of the segments' elements, but for the last, as little-endian 64-bit integers. */
export function splitPositionBytes(elements: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * (elements.length - 1)));
  let sum = 0n;
  for (const [index, count] of elements.slice(0, -1).entries()) {
    sum += BigInt(count);
    view.setBigInt64(8 * index, sum, true);
  }
  return new Uint8Array(view.buffer);
}

function placeOf(byName: ReadonlyMap<string, SafetensorsTensor>, name: string): SafetensorsTensor {
  const tensor = byName.get(name);
  if (!tensor) throw new Error(`the layout lost the tensor ${name}`);
  return tensor;
}
